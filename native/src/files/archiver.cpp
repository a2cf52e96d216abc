#include "archiver.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace madang::files {
namespace {

constexpr int kOpenFlags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
constexpr std::size_t kSmall = 128 * 1024;      // files up to that are read before it is their turn
constexpr std::size_t kBatch = 256 * 1024;      // a lane's own, of small files
constexpr std::size_t kReadAtOnce = 256 * 1024;
constexpr std::uint64_t kReadAhead = 8 * 1024 * 1024;

// Up to `bytes` from `at` on; fewer at the end of the file, or minus errno.
ssize_t read_at(int fd, char* to, std::size_t bytes, std::uint64_t at) {
  std::size_t done = 0;
  while (done < bytes) {
    const ssize_t length = pread(fd, to + done, bytes - done, static_cast<off_t>(at + done));
    if (length < 0 && errno == EINTR) continue;
    if (length < 0) return -errno;
    if (length == 0) break;
    done += static_cast<std::size_t>(length);
  }
  return static_cast<ssize_t>(done);
}

}  // namespace

Archiver::Archiver(ArchiveStream& stream, ArchiveOrder& order, const ArchiveOptions& options, const Run& run)
    : stream_(stream), order_(order), options_(options), failures_(run) {}

Archiver::LaneState& Archiver::state(Lane& lane) {
  std::unique_ptr<LaneState>& state = lanes_[lane.index()];
  if (!state) {
    state = std::make_unique<LaneState>();
    state->batch = Bytes(kBatch);
  }
  return *state;
}

// -- what is told --------------------------------------------------------------------------------

void Archiver::fail(const char* action, const std::string& path, int error) {
  failures_.add(action, path, error);
}

void Archiver::notice(Notice notice, const std::string& path, std::uint64_t count) {
  if (notice == Notice::vanished || notice == Notice::changed || notice == Notice::shrank) ++changed_;
  std::lock_guard lock(tell_mutex_);
  if (notice == Notice::removed_prefix || notice == Notice::removed_link_prefix) {
    const std::string key = (notice == Notice::removed_prefix ? "name " : "link ") + path;
    if (std::find(removed_prefixes_.begin(), removed_prefixes_.end(), key) != removed_prefixes_.end()) return;
    removed_prefixes_.push_back(key);
  }
  if (options_.noticed) options_.noticed(notice, path, count);
}

void Archiver::fail_or_vanished(const char* action, const std::string& path, int error, bool is_root) {
  if (error == ENOENT && !is_root) {
    notice(Notice::vanished, path);
  } else {
    fail(action, path, error);
  }
}

void Archiver::added(Lane& lane, LaneState& state, std::uint64_t bytes) {
  ++state.members;
  state.bytes += bytes;
  lane.done().add(1, bytes);
  if (!options_.added) return;
  std::lock_guard lock(tell_mutex_);
  options_.added(state.member);
}

Archived Archiver::result() const {
  Archived result;
  for (const auto& state : lanes_) {
    if (!state) continue;
    result.members += state->members;
    result.bytes += state->bytes;
  }
  result.changed = changed_.load();
  result.failures = failures_.count();
  return result;
}

// -- members -------------------------------------------------------------------------------------

void Archiver::prepare(LaneState& state, const struct stat& status, const std::string& path, int fd) {
  tar::Member& member = state.member;
  fill(member, status);
  std::string_view removed;
  const std::string_view name = options_.absolute_names ? path : safe_name(path, removed);
  if (!removed.empty()) notice(Notice::removed_prefix, std::string(removed));
  member.name.assign(name);
  if (member.type == tar::kDirectory && member.name.back() != '/') member.name.push_back('/');
  if (!options_.numeric_owner && (!options_.owner || !options_.group) &&
      (!state.owner_known || state.uid != status.st_uid || state.gid != status.st_gid)) {
    state.user = owners_.user(status.st_uid);
    state.group = owners_.group(status.st_gid);
    state.uid = status.st_uid;
    state.gid = status.st_gid;
    state.owner_known = true;
  }
  member.user = state.user;
  member.group = state.group;
  if (options_.owner) std::tie(member.user, member.uid) = *options_.owner;
  if (options_.group) std::tie(member.group, member.gid) = *options_.group;
  if (options_.numeric_owner) {
    member.user.clear();
    member.group.clear();
  }
  if (options_.mtime_s) {
    member.mtime_s = *options_.mtime_s;
    member.mtime_ns = 0;
  }
  if ((options_.xattrs || options_.acls) && fd >= 0 &&
      add_attributes(fd, options_.xattrs, options_.acls, owners_, member) != 0) {
    notice(Notice::unreadable_attributes, path);
  }
}

void Archiver::add_directory(Lane& lane, int fd, const struct stat& status, const std::string& path) {
  LaneState& mine = state(lane);
  prepare(mine, status, path, fd);
  add_header(lane, mine);
  added(lane, mine, 0);
}

// The lane's member, which has no content.
void Archiver::add_header(Lane& lane, LaneState& state) {
  state.header.clear();
  write_headers(state.member, state.header);
  if (state.header.size() > state.batch.left()) flush(lane);
  if (state.header.size() > state.batch.left()) {  // enormous attributes
    order_.wait(lane);
    ArchiveStream::Turn(stream_, lane).add(state.header);
  } else {
    state.batch.add(state.header);
  }
}

// The lane's member, which has several names: in its turn it is seen whether this is the first one.
// `content` is padded.
void Archiver::add_link_or(Lane& lane, LaneState& state, const struct stat& status, std::string_view content) {
  order_.wait(lane);
  ArchiveStream::Turn turn(stream_, lane);
  const bool linked = is_linked(state, status);
  if (!linked) remember_link(state, status);
  state.header.clear();
  write_headers(state.member, state.header);
  turn.add(state.header);
  if (!linked) turn.add(content);
}

void Archiver::add(Lane& lane, int fd, const char* name, const std::string& path, unsigned char type) {
  const bool follow = options_.follow_links && type == DT_LNK;
  if (type == DT_SOCK) {
    notice(Notice::socket, path);
    return;
  }
  if (type != DT_REG && !follow) {
    add_special(lane, fd, name, path, false);
    return;
  }
  lane.request();
  const int flags = follow ? kOpenFlags & ~O_NOFOLLOW : kOpenFlags;
  const bool without_atime = without_atime_.load(std::memory_order_relaxed);
  int opened = openat(fd, name, flags | (without_atime ? O_NOATIME : 0));
  if (opened < 0 && errno == EPERM && without_atime) {  // somebody else's file
    without_atime_.store(false, std::memory_order_relaxed);
    opened = openat(fd, name, flags);
  }
  if (opened < 0) {
    if (errno == ELOOP || errno == ENXIO) {  // it is no file any more
      add_special(lane, fd, name, path, false);
    } else {
      fail_or_vanished("Cannot open", path, errno, false);
    }
    return;
  }
  const Descriptor file(opened);
  struct stat status;
  if (fstat(file.get(), &status) != 0) {
    fail("Cannot stat", path, errno);
  } else if (!S_ISREG(status.st_mode)) {
    if (S_ISDIR(status.st_mode) && !follow) {
      notice(Notice::vanished, path);
    } else {  // links to directories stay links: what they lead to may be anywhere, also above
      add_special(lane, fd, name, path, false);
    }
  } else if (!is_archive(status, path)) {
    add_file(lane, state(lane), file.get(), status, path);
  }
}

bool Archiver::is_archive(const struct stat& status, const std::string& path) {
  for (const FileKey& archive : archives_) {
    if (archive == FileKey{status.st_dev, status.st_ino}) {
      notice(Notice::is_the_archive, path);
      return true;
    }
  }
  return false;
}

void Archiver::add_special(Lane& lane, int fd, const char* name, const std::string& path, bool is_root) {
  LaneState& mine = state(lane);
  struct stat status;
  lane.request();
  if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) != 0) {
    fail_or_vanished("Cannot stat", path, errno, is_root);
    return;
  }
  if (S_ISSOCK(status.st_mode)) {
    notice(Notice::socket, path);
    return;
  }
  if (S_ISREG(status.st_mode)) {  // it was something else a moment ago
    notice(Notice::vanished, path);
    return;
  }
  Descriptor handle;
  if (options_.xattrs || options_.acls) {
    handle = Descriptor(openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  }
  prepare(mine, status, path, handle.get());
  if (S_ISLNK(status.st_mode)) {
    std::vector<char>& target = lane.buffer(64 * 1024);
    lane.request();
    const ssize_t length = readlinkat(fd, name, target.data(), target.size());
    if (length < 0) {
      fail_or_vanished("Cannot readlink", path, errno, is_root);
      return;
    }
    mine.member.link.assign(target.data(), static_cast<std::size_t>(length));
  }
  if (status.st_nlink > 1 && !S_ISDIR(status.st_mode)) {
    flush(lane);
    add_link_or(lane, mine, status, "");
  } else {
    add_header(lane, mine);
  }
  added(lane, mine, 0);
}

bool Archiver::is_linked(LaneState& state, const struct stat& status) {
  tar::Member& member = state.member;
  {
    std::lock_guard lock(links_mutex_);
    const auto found = links_.find({status.st_dev, status.st_ino});
    if (found == links_.end()) return false;
    member.link = found->second;
  }
  member.type = tar::kHardLink;
  member.size = 0;
  member.sparse = false;
  member.segments.clear();
  return true;
}

// To be called in the turn in which the member is added: links must come after it.
void Archiver::remember_link(const LaneState& state, const struct stat& status) {
  std::lock_guard lock(links_mutex_);
  links_.insert_or_assign(FileKey{status.st_dev, status.st_ino}, state.member.name);
}

void Archiver::add_file(Lane& lane, LaneState& state, int fd, const struct stat& status,
                        const std::string& path) {
  prepare(state, status, path, fd);
  // Only what is ahead in the archive is known to others: a link to it is always right.
  if (status.st_nlink > 1 && is_linked(state, status)) {
    add_header(lane, state);
    added(lane, state, 0);
    return;
  }
  if (state.member.size <= kSmall) {
    add_small(lane, state, fd, status, path);
  } else {
    add_large(lane, state, fd, status, path);
  }
}

void Archiver::add_small(Lane& lane, LaneState& state, int fd, const struct stat& status,
                         const std::string& path) {
  const std::size_t size = state.member.size;
  state.header.clear();
  write_headers(state.member, state.header);
  const std::size_t needed = state.header.size() + tar::padded(size) + 1;
  if (needed > state.batch.left() || status.st_nlink > 1) flush(lane);
  if (needed > state.batch.left()) {
    add_large(lane, state, fd, status, path);
    return;
  }
  char* content = state.batch.end() + state.header.size();
  ssize_t length = 0;
  if (size != 0) {
    lane.request();
    length = read_at(fd, content, size, 0);
    if (length < 0) {
      fail("Cannot read", path, static_cast<int>(-length));
      return;
    }
  }
  if (static_cast<std::size_t>(length) < size) {
    notice(Notice::shrank, path, size - static_cast<std::size_t>(length));
  } else {
    check_unchanged(fd, status, path);
  }
  std::memset(content + length, 0, tar::padded(size) - static_cast<std::size_t>(length));
  if (status.st_nlink > 1) {
    add_link_or(lane, state, status, {content, tar::padded(size)});
  } else {
    state.batch.add(state.header);
    state.batch.grow(tar::padded(size));
  }
  added(lane, state, static_cast<std::uint64_t>(length));
}

// Reads it in its turn, straight to where it is written from.
void Archiver::add_large(Lane& lane, LaneState& state, int fd, const struct stat& status,
                         const std::string& path) {
  tar::Member& member = state.member;
  const bool has_holes = static_cast<std::uint64_t>(status.st_blocks) * 512 < member.size;
  if (has_holes) member.sparse = find_segments(fd, member.size, member.segments);
  if (!member.sparse) member.segments = {{0, member.size}};
  // While others have their turn: what takes waiting is asked for now.
  if (lane.crew().waits()) posix_fadvise(fd, 0, kReadAhead, POSIX_FADV_WILLNEED);
  flush(lane);
  order_.wait(lane);
  bool whole = true;
  {
    ArchiveStream::Turn turn(stream_, lane);
    const bool linked = status.st_nlink > 1 && is_linked(state, status);
    if (status.st_nlink > 1 && !linked) remember_link(state, status);
    state.header.clear();
    write_headers(member, state.header);
    turn.add(state.header);
    if (!linked) pour(lane, turn, fd, member, path, whole);
  }
  if (whole) check_unchanged(fd, status, path);
  added(lane, state, tar::stored_size(member));
}

void Archiver::pour(Lane& lane, ArchiveStream::Turn& turn, int fd, const tar::Member& member,
                    const std::string& path, bool& whole) {
  std::uint64_t sum = 0;
  std::uint64_t asked_for = kReadAhead;
  for (const tar::Segment& segment : member.segments) {
    for (std::uint64_t done = 0; done < segment.length;) {
      if (lane.should_stop()) return;  // nobody will see what is written
      const std::uint64_t at = segment.offset + done;
      if (lane.crew().waits() && at + kReadAhead > asked_for) {
        posix_fadvise(fd, static_cast<off_t>(asked_for), kReadAhead, POSIX_FADV_WILLNEED);
        asked_for += kReadAhead;
      }
      std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(segment.length - done, kReadAtOnce));
      char* to = turn.room(count);
      lane.request();
      const ssize_t length = whole ? read_at(fd, to, count, at) : 0;
      if (length < 0) fail("Cannot read", path, static_cast<int>(-length));
      const std::size_t got = static_cast<std::size_t>(std::max<ssize_t>(length, 0));
      if (got < count) {
        // The header has said how long it is: the rest are zeros, as with GNU's tar.
        if (whole && length >= 0) notice(Notice::shrank, path, segment.length - done - got);
        whole = false;
        std::memset(to + got, 0, count - got);
      }
      turn.filled(count);
      done += count;
    }
    sum += segment.length;
  }
  turn.add_zeros(tar::padded(sum) - sum);
}

// By what is known here, without asking a server once more.
void Archiver::check_unchanged(int fd, const struct stat& status, const std::string& path) {
  struct statx now;
  if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_SIZE | STATX_CTIME, &now) != 0) return;
  if (now.stx_size != static_cast<std::uint64_t>(status.st_size) ||
      now.stx_ctime.tv_sec != status.st_ctim.tv_sec ||
      now.stx_ctime.tv_nsec != static_cast<std::uint32_t>(status.st_ctim.tv_nsec)) {
    notice(Notice::changed, path);
  }
}

}  // namespace madang::files
