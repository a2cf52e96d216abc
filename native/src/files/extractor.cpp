#include "extractor.hpp"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "acl_text.hpp"

namespace madang::files {
namespace {

constexpr std::size_t kWriteAtOnce = 256 * 1024;

mode_t current_umask() {
  const mode_t mask = umask(077);
  umask(mask);
  return mask;
}

std::string random_name() {
  std::uint64_t random = 0;
  (void)!getrandom(&random, sizeof random, 0);
  char text[32];
  std::snprintf(text, sizeof text, "%012llx", static_cast<unsigned long long>(random >> 16));
  return text;
}

int write_at(int fd, std::string_view bytes, std::uint64_t at) {
  while (!bytes.empty()) {
    const ssize_t length = pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(at));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return errno;
    bytes.remove_prefix(static_cast<std::size_t>(length));
    at += static_cast<std::uint64_t>(length);
  }
  return 0;
}

long user_id(const std::string& name) {
  const passwd* entry = getpwnam(name.c_str());
  return entry ? static_cast<long>(entry->pw_uid) : -1;
}

long group_id(const std::string& name) {
  const ::group* entry = getgrnam(name.c_str());
  return entry ? static_cast<long>(entry->gr_gid) : -1;
}

timespec mtime_of(const tar::Member& member) {
  return {static_cast<time_t>(member.mtime_s), static_cast<long>(member.mtime_ns)};
}

}  // namespace

Extractor::Extractor(ExtractTarget& target, const ExtractOptions& options, const Run& run)
    : target_(target),
      options_(options),
      failures_(run),
      umask_(options.to_the_letter ? 0 : current_umask()),
      run_name_(random_name()) {}

// -- what is told --------------------------------------------------------------------------------

void Extractor::tell(Lane& lane, const std::string& archive, const tar::Member& member, Extracted what,
                     std::uint64_t bytes) {
  if (what == Extracted::made || what == Extracted::would_make) {
    members_.fetch_add(1, std::memory_order_relaxed);
    bytes_.fetch_add(bytes, std::memory_order_relaxed);
  } else if (what == Extracted::same) {
    same_.fetch_add(1, std::memory_order_relaxed);
  } else {
    left_out_.fetch_add(1, std::memory_order_relaxed);
  }
  lane.done().add(1, bytes);
  if (!options_.done) return;
  std::lock_guard lock(tell_mutex_);
  options_.done(archive, member, what);
}

void Extractor::refuse(const std::string& archive, const std::string& member, const std::string& sentence) {
  refused_.fetch_add(1, std::memory_order_relaxed);
  std::lock_guard lock(tell_mutex_);
  if (options_.refused) options_.refused(archive, member, sentence);
}

void Extractor::add_to(ExtractResult& result) const {
  result.members += members_;
  result.bytes += bytes_;
  result.same += same_;
  result.left_out += left_out_;
  result.failures += refused_ + failures_.count();
}

// -- places --------------------------------------------------------------------------------------

bool Extractor::find_place(Lane& lane, const std::string& name, Place& place) {
  const auto [parent, last] = split_last(name);
  lane.request();
  place.directory = target_.directory(parent);
  if (!place.directory) {
    if (errno == ELOOP || errno == ENOTDIR) {
      fail("Cannot open: a symbolic link, which is not followed, or a file is in the place of its directory", name, 0);
    } else {
      fail("Cannot make its directory", name, errno);
    }
    return false;
  }
  place.last = last;
  place.part = ".madang-part-" + run_name_ + "-" + std::to_string(next_part_.fetch_add(1));
  return true;
}

bool Extractor::put_in_place(Lane& lane, const Place& place, const std::string& name) {
  lane.request();
  const int fd = place.directory->get();
  const unsigned flags = options_.keep_old ? RENAME_NOREPLACE : 0;
  int result = renameat2(fd, place.part.c_str(), fd, place.last.c_str(), flags);
  if (result != 0 && options_.keep_old && (errno == EINVAL || errno == ENOSYS)) {  // NFS
    result = linkat(fd, place.part.c_str(), fd, place.last.c_str(), 0);
    if (result == 0) unlinkat(fd, place.part.c_str(), 0);
  }
  if (result == 0) return true;
  const int error = errno;
  unlinkat(fd, place.part.c_str(), 0);
  fail("Cannot open", name, error);
  return false;
}

bool Extractor::is_there(Lane& lane, const tar::Member& member, const std::string& name) {
  const auto [parent, last] = split_last(name);
  lane.request();
  const ExtractTarget::Opened directory = target_.directory(parent, !options_.dry_run);
  struct stat status;
  const std::string last_name(last);
  if (!directory || fstatat(directory->get(), last_name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
  if (!S_ISREG(status.st_mode) || static_cast<std::uint64_t>(status.st_size) != member.size) return false;
  return status.st_mtim.tv_sec == member.mtime_s &&
         (status.st_mtim.tv_nsec == static_cast<long>(member.mtime_ns) || member.mtime_ns == 0);
}

// -- files ---------------------------------------------------------------------------------------

void Extractor::make_file(Lane& lane, const std::string& archive, const ArchivedMember& found, ByteSource& content,
                          const std::string& name) {
  const tar::Member& member = found.member;
  try {
    if (options_.resume && is_there(lane, member, name)) {
      tell(lane, archive, member, Extracted::same);
      return;
    }
    if (options_.dry_run) {
      if (options_.verify) check_content(lane, found, content);
      tell(lane, archive, member, Extracted::would_make, member.size);
      return;
    }
  } catch (const ArchiveError& error) {
    refuse(archive, member.name, error.what());
    return;
  }
  Place place;
  if (!find_place(lane, name, place)) return;
  const mode_t mode = mode_of(member) & 0777;
  lane.request();
  const int flags = (options_.verify ? O_RDWR : O_WRONLY) | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  Descriptor file(openat(place.directory->get(), place.part.c_str(), flags, mode & ~(options_.same_owner ? 077 : 0)));
  if (!file) {
    fail("Cannot open", name, errno);
    return;
  }
  std::uint32_t crc = 0;
  int error = 0;
  std::string sentence;
  bool whole = false;
  try {
    whole = write_content(lane, file.get(), found, content, crc, error);
    if (whole && found.has_crc && crc != found.crc) sentence = "its content is damaged: the checksum is another one";
    if (whole && options_.verify && !read_back(lane, file.get(), found, crc, error) && error == 0) {
      sentence = "what was written can't be read back: the checksum is another one";
    }
  } catch (const ArchiveError& damage) {
    sentence = damage.what();
  }
  if (whole && sentence.empty() && error == 0) {
    error = set_status(file.get(), member, mode);
    set_attributes(file.get(), member, name);
    // Some servers say only now that there was no room.
    if (close(file.release()) != 0 && error == 0) error = errno;
  }
  if (!whole || error != 0 || !sentence.empty()) {
    unlinkat(place.directory->get(), place.part.c_str(), 0);
    if (!sentence.empty()) {
      refuse(archive, member.name, sentence);
    } else if (error != 0) {
      fail("Cannot write", name, error);
    }
    return;
  }
  if (put_in_place(lane, place, name)) tell(lane, archive, member, Extracted::made, member.size);
}

// False when the run was stopped, or with `error`.
bool Extractor::write_content(Lane& lane, int fd, const ArchivedMember& found, ByteSource& content,
                              std::uint32_t& crc, int& error) {
  const tar::Member& member = found.member;
  const bool summed = found.has_crc || options_.verify;
  static const std::vector<tar::Segment> kNone;
  const std::vector<tar::Segment> whole = {{0, found.stored}};
  std::uint64_t left = found.stored;
  for (const tar::Segment& segment : member.sparse ? member.segments : whole) {
    for (std::uint64_t done = 0; done < segment.length;) {
      if (lane.should_stop()) return false;
      const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(segment.length - done, kWriteAtOnce));
      std::vector<char>& buffer = lane.buffer(wanted);
      const std::size_t length = content.read_fully(buffer.data(), wanted);
      if (length != wanted) throw ArchiveError("its content is shorter than the archive says");
      if (summed) crc = crc32_of(crc, {buffer.data(), length});
      lane.request();
      error = write_at(fd, {buffer.data(), length}, segment.offset + done);
      if (error != 0) return false;
      done += length;
      left -= length;
    }
  }
  char more;
  if (content.read(&more, 1) != 0) throw ArchiveError("its content is longer than the archive says");
  if (member.sparse && ftruncate(fd, static_cast<off_t>(member.size)) != 0) {
    error = errno;
    return false;
  }
  return left == 0;
}

bool Extractor::read_back(Lane& lane, int fd, const ArchivedMember& found, std::uint32_t crc, int& error) {
  // As far as the system lets go of what it has in memory, from the disk or the server.
  if (fdatasync(fd) == 0) posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  std::uint32_t now = 0;
  const std::vector<tar::Segment> whole = {{0, found.stored}};
  std::vector<char>& buffer = lane.buffer(kWriteAtOnce);
  for (const tar::Segment& segment : found.member.sparse ? found.member.segments : whole) {
    for (std::uint64_t done = 0; done < segment.length;) {
      const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(segment.length - done, kWriteAtOnce));
      lane.request();
      const ssize_t length = pread(fd, buffer.data(), wanted, static_cast<off_t>(segment.offset + done));
      if (length < 0 && errno == EINTR) continue;
      if (length <= 0) {
        error = length < 0 ? errno : EIO;
        return false;
      }
      now = crc32_of(now, {buffer.data(), static_cast<std::size_t>(length)});
      done += static_cast<std::uint64_t>(length);
    }
  }
  return now == crc;
}

// Reads all of it, and checks what can be checked.
void Extractor::check_content(Lane& lane, const ArchivedMember& found, ByteSource& content) {
  std::vector<char>& buffer = lane.buffer(kWriteAtOnce);
  std::uint32_t crc = 0;
  std::uint64_t sum = 0;
  while (const std::size_t length = content.read(buffer.data(), kWriteAtOnce)) {
    sum += length;
    if (sum > found.stored) throw ArchiveError("its content is longer than the archive says");
    if (found.has_crc) crc = crc32_of(crc, {buffer.data(), length});
    if (lane.should_stop()) return;
  }
  if (sum != found.stored) throw ArchiveError("its content is shorter than the archive says");
  if (found.has_crc && crc != found.crc) throw ArchiveError("its content is damaged: the checksum is another one");
}

// -- others --------------------------------------------------------------------------------------

void Extractor::make_other(Lane& lane, const std::string& archive, const tar::Member& member, const std::string& name) {
  const bool device = member.type == tar::kCharacterDevice || member.type == tar::kBlockDevice;
  if (device && !options_.devices) {
    tell(lane, archive, member, Extracted::device);
    return;
  }
  if (options_.dry_run) {
    tell(lane, archive, member, Extracted::would_make);
    return;
  }
  Place place;
  if (!find_place(lane, name, place)) return;
  const int fd = place.directory->get();
  const char* part = place.part.c_str();
  const mode_t mode = mode_of(member);
  lane.request();
  int result = -1;
  if (member.type == tar::kSymbolicLink) {
    result = symlinkat(member.link.c_str(), fd, part);
  } else {
    const mode_t type = member.type == tar::kFifo ? S_IFIFO : member.type == tar::kBlockDevice ? S_IFBLK : S_IFCHR;
    result = mknodat(fd, part, type | (mode & 0777), device ? makedev(member.device_major, member.device_minor) : 0);
  }
  if (result != 0) {
    fail(member.type == tar::kSymbolicLink ? "Cannot create symlink" : "Cannot mknod", name, errno);
    return;
  }
  // Not opened: a device must not be. Nobody else knows the name yet.
  if (options_.same_owner) {
    const auto [uid, gid] = owner_of(member);
    if (fchownat(fd, part, uid, gid, AT_SYMLINK_NOFOLLOW) != 0) fail("Cannot change ownership", name, errno);
  }
  if (member.type != tar::kSymbolicLink && (options_.to_the_letter || options_.same_owner)) {
    if (fchmodat(fd, part, mode, 0) != 0) fail("Cannot change mode", name, errno);
  }
  if (options_.set_mtime) {
    const timespec times[2] = {{0, UTIME_OMIT}, mtime_of(member)};
    if (utimensat(fd, part, times, AT_SYMLINK_NOFOLLOW) != 0) fail("Cannot utime", name, errno);
  }
  if (put_in_place(lane, place, name)) tell(lane, archive, member, Extracted::made);
}

void Extractor::make_hard_link(Lane& lane, const std::string& archive, const tar::Member& member,
                               const std::string& name, const std::string& link_name) {
  if (options_.dry_run) {
    tell(lane, archive, member, Extracted::would_make);
    return;
  }
  if (name == link_name) return;
  const auto [link_parent, link_last] = split_last(link_name);
  lane.request();
  const ExtractTarget::Opened from = target_.directory(link_parent, false);
  Place place;
  if (!from) {
    fail("Cannot hard link", name, errno);
    return;
  }
  if (!find_place(lane, name, place)) return;
  const std::string last(link_last);
  if (linkat(from->get(), last.c_str(), place.directory->get(), place.part.c_str(), 0) != 0) {
    fail("Cannot hard link", name, errno);
    return;
  }
  if (!put_in_place(lane, place, name)) return;
  // Where both were the same file already, rename has done nothing.
  unlinkat(place.directory->get(), place.part.c_str(), 0);
  tell(lane, archive, member, Extracted::made);
}

void Extractor::make_directory(Lane& lane, const std::string& archive, const tar::Member& member,
                               const std::string& name) {
  if (options_.dry_run) {
    tell(lane, archive, member, Extracted::would_make);
    return;
  }
  lane.request();
  const ExtractTarget::Opened opened = target_.directory(name);
  if (!opened) {
    if (errno == ELOOP || errno == ENOTDIR) {
      fail("Cannot mkdir: a symbolic link, which is not followed, or a file is in its place", name, 0);
    } else {
      fail("Cannot mkdir", name, errno);
    }
    return;
  }
  tell(lane, archive, member, Extracted::made);
}

void Extractor::finish_directory(Lane& lane, const tar::Member& member, const std::string& name) {
  lane.request();
  const ExtractTarget::Opened opened = target_.directory(name, false);
  if (!opened) return;  // it could not be made, which was told
  // Attributes before the mode: afterwards it may be closed to us.
  set_attributes(opened->get(), member, name);
  const int error = set_status(opened->get(), member, 01000000);
  if (error != 0) fail("Cannot change mode", name, error);
}

// -- status --------------------------------------------------------------------------------------

mode_t Extractor::mode_of(const tar::Member& member) const {
  return options_.to_the_letter ? member.mode & 07777 : member.mode & 0777 & ~umask_;
}

int Extractor::set_status(int fd, const tar::Member& member, mode_t made_with) {
  const mode_t mode = mode_of(member);
  if (options_.same_owner) {
    const auto [uid, gid] = owner_of(member);
    if (fchown(fd, uid, gid) != 0) return errno;
  }
  // Owner first: to change it takes set-user-ID bits away.
  if (options_.to_the_letter || options_.same_owner || mode != made_with) {
    if (fchmod(fd, mode) != 0) return errno;
  }
  if (options_.set_mtime) {
    const timespec times[2] = {{0, UTIME_OMIT}, mtime_of(member)};
    if (futimens(fd, times) != 0) return errno;
  }
  return 0;
}

void Extractor::set_attributes(int fd, const tar::Member& member, const std::string& name) {
  for (const auto& [key, value] : member.attributes) {
    const bool access = key == tar::kAccessAcl;
    if (access || key == tar::kDefaultAcl) {
      if (!options_.acls) continue;
      const std::string acl = acl_from_text(value, [this](const std::string& who, bool user) {
        if (!who.empty() && who.find_first_not_of("0123456789") == std::string::npos) return std::strtol(who.c_str(), nullptr, 10);
        std::lock_guard lock(owners_mutex_);
        return user ? user_id(who) : group_id(who);
      });
      if (acl.empty()) {
        fail("Cannot set its ACL, which makes no sense here", name, 0);
      } else if (fsetxattr(fd, access ? kAccessAclAttribute : kDefaultAclAttribute, acl.data(), acl.size(), 0) != 0) {
        fail("Cannot set its ACL", name, errno);
      }
    } else if (options_.xattrs && key.rfind("user.", 0) == 0) {  // as GNU's tar: others may be powers
      if (fsetxattr(fd, key.c_str(), value.data(), value.size(), 0) != 0) {
        fail("Cannot set its extended attributes", name, errno);
      }
    }
  }
}

std::pair<uid_t, gid_t> Extractor::owner_of(const tar::Member& member) {
  uid_t uid = static_cast<uid_t>(member.uid);
  gid_t gid = static_cast<gid_t>(member.gid);
  if (options_.numeric_owner) return {uid, gid};
  std::lock_guard lock(owners_mutex_);
  const auto look_up = [](std::map<std::string, long>& known, const std::string& name, long (*find)(const std::string&)) {
    if (name.empty()) return -1l;
    const auto [found, added] = known.try_emplace(name, -1);
    if (added) found->second = find(name);
    return found->second;
  };
  if (const long found = look_up(users_, member.user, user_id); found >= 0) uid = static_cast<uid_t>(found);
  if (const long found = look_up(groups_, member.group, group_id); found >= 0) gid = static_cast<gid_t>(found);
  return {uid, gid};
}

}  // namespace madang::files
