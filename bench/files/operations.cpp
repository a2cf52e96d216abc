#include "operations.hpp"

#include <dirent.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#include <algorithm>
#include <cstring>
#include <vector>

namespace {

constexpr std::uint32_t kMostBytes = 1 << 20;

fuse_attr attr_of(const struct stat& about) {
  fuse_attr attr{};
  attr.ino = about.st_ino;
  attr.size = static_cast<std::uint64_t>(about.st_size);
  attr.blocks = static_cast<std::uint64_t>(about.st_blocks);
  attr.atime = static_cast<std::uint64_t>(about.st_atim.tv_sec);
  attr.mtime = static_cast<std::uint64_t>(about.st_mtim.tv_sec);
  attr.ctime = static_cast<std::uint64_t>(about.st_ctim.tv_sec);
  attr.atimensec = static_cast<std::uint32_t>(about.st_atim.tv_nsec);
  attr.mtimensec = static_cast<std::uint32_t>(about.st_mtim.tv_nsec);
  attr.ctimensec = static_cast<std::uint32_t>(about.st_ctim.tv_nsec);
  attr.mode = about.st_mode;
  attr.nlink = static_cast<std::uint32_t>(about.st_nlink);
  attr.uid = about.st_uid;
  attr.gid = about.st_gid;
  attr.rdev = static_cast<std::uint32_t>(about.st_rdev);
  attr.blksize = static_cast<std::uint32_t>(about.st_blksize);
  return attr;
}

int handle_of(std::uint64_t fh) { return static_cast<int>(fh); }

Answer result(long returned) { return returned < 0 ? Answer::failed(errno) : Answer{}; }

int file_flags(std::uint32_t flags) {
  // The kernel gives each write its offset, so that O_APPEND would only be in the way.
  constexpr std::uint32_t kKept = O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC;
  return static_cast<int>(flags & kKept) | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
}

Answer opened(int handle, std::uint32_t flags, bool round_trip) {
  if (handle < 0) return Answer::failed(errno, round_trip);
  fuse_open_out out{};
  out.fh = static_cast<std::uint64_t>(handle);
  out.open_flags = flags;
  return Answer::of(out, round_trip);
}

}  // namespace

Answer Operations::answer(const Request& request) {
  const fuse_in_header& head = request.head;
  switch (head.opcode) {
    case FUSE_INIT: return init(request);
    case FUSE_LOOKUP: return lookup(request);
    case FUSE_FORGET:
      nodes_.forget(head.nodeid, request.as<fuse_forget_in>().nlookup);
      return Answer::none();
    case FUSE_BATCH_FORGET: forget_batch(request); return Answer::none();
    case FUSE_GETATTR: return attributes(request);
    case FUSE_SETATTR: return set_attributes(request);
    case FUSE_READLINK: return read_link(request);
    case FUSE_SYMLINK: return make_symlink(request);
    case FUSE_MKNOD: return make_node(request);
    case FUSE_MKDIR: return make_directory(request);
    case FUSE_LINK: return make_link(request);
    case FUSE_UNLINK: return remove(request, 0);
    case FUSE_RMDIR: return remove(request, AT_REMOVEDIR);
    case FUSE_RENAME:
      return rename(request, request.as<fuse_rename_in>().newdir, 0, sizeof(fuse_rename_in));
    case FUSE_RENAME2: {
      const auto& in = request.as<fuse_rename2_in>();
      return rename(request, in.newdir, in.flags, sizeof in);
    }
    case FUSE_OPEN: return open(request);
    case FUSE_CREATE: return create(request);
    case FUSE_READ: return read(request);
    case FUSE_WRITE: return write(request);
    case FUSE_FSYNC:
    case FUSE_FSYNCDIR: return sync(request);
    case FUSE_FALLOCATE: return allocate(request);
    case FUSE_LSEEK: return seek(request);
    case FUSE_OPENDIR: return open_directory(request);
    case FUSE_READDIR: return read_directory(request, false);
    case FUSE_READDIRPLUS: return read_directory(request, true);
    case FUSE_RELEASE:
    case FUSE_RELEASEDIR: return release(request);
    case FUSE_STATFS: return file_system(request);
    case FUSE_GETXATTR:
    case FUSE_LISTXATTR:
    case FUSE_SETXATTR:
    case FUSE_REMOVEXATTR: return xattr(request);
    case FUSE_INTERRUPT: return Answer::none();  // every answer is on its way already
    case FUSE_DESTROY: return {0, {}, false, true};
    default: return Answer::failed(ENOSYS, false);  // the kernel does without from then on
  }
}

Answer Operations::init(const Request& request) const {
  const auto& in = request.as<fuse_init_in>();
  std::uint32_t wanted = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                         FUSE_PARALLEL_DIROPS | FUSE_HANDLE_KILLPRIV | FUSE_MAX_PAGES;
  if (settings_.readdirplus) wanted |= FUSE_DO_READDIRPLUS;
  fuse_init_out out{};
  out.major = FUSE_KERNEL_VERSION;
  out.minor = std::min<std::uint32_t>(in.minor, FUSE_KERNEL_MINOR_VERSION);
  out.max_readahead = in.max_readahead;
  out.flags = wanted & in.flags;
  out.max_background = 4096;
  out.congestion_threshold = 3072;
  out.max_write = kMostBytes;
  out.max_pages = kMostBytes / 4096;
  out.time_gran = 1;
  return Answer::of(out, false);
}

fuse_attr_out Operations::attr_out(const struct stat& about) const {
  fuse_attr_out out{};
  out.attr_valid = settings_.timeout_s;
  out.attr = attr_of(about);
  return out;
}

bool Operations::fill_entry(Node& parent, const char* name, fuse_entry_out& out) {
  struct stat about {};
  if (fstatat(parent.handle, name, &about, AT_SYMLINK_NOFOLLOW) != 0) return false;
  out = {};
  out.nodeid = nodes_.id(*nodes_.enter(parent, name, about));
  out.entry_valid = out.attr_valid = settings_.timeout_s;
  out.attr = attr_of(about);
  return true;
}

Answer Operations::entry(Node& parent, const char* name) {
  fuse_entry_out out;
  return fill_entry(parent, name, out) ? Answer::of(out) : Answer::failed(errno);
}

Answer Operations::lookup(const Request& request) {
  return entry(nodes_.at(request.head.nodeid), request.name());
}

Answer Operations::attributes_of(Node& node, int handle) {
  struct stat about {};
  int failed = 0;
  if (handle >= 0) {
    failed = fstat(handle, &about);
  } else {
    const Place place = nodes_.place(node);
    failed = fstatat(place.directory, place.name, &about, place.flags);
  }
  return failed != 0 ? Answer::failed(errno) : Answer::of(attr_out(about));
}

Answer Operations::attributes(const Request& request) {
  const auto& in = request.as<fuse_getattr_in>();
  const bool is_open = (in.getattr_flags & FUSE_GETATTR_FH) != 0;
  return attributes_of(nodes_.at(request.head.nodeid), is_open ? handle_of(in.fh) : -1);
}

Answer Operations::set_attributes(const Request& request) {
  const auto& in = request.as<fuse_setattr_in>();
  Node& node = nodes_.at(request.head.nodeid);
  const Place place = nodes_.place(node);
  const int handle = (in.valid & FATTR_FH) != 0 ? handle_of(in.fh) : -1;

  if ((in.valid & (FATTR_UID | FATTR_GID)) != 0) {
    const uid_t uid = (in.valid & FATTR_UID) != 0 ? in.uid : static_cast<uid_t>(-1);
    const gid_t gid = (in.valid & FATTR_GID) != 0 ? in.gid : static_cast<gid_t>(-1);
    if (fchownat(place.directory, place.name, uid, gid, place.flags) != 0)
      return Answer::failed(errno);
  }
  if ((in.valid & FATTR_MODE) != 0) {
    if (fchmodat(place.directory, place.name, in.mode & 07777, 0) != 0)
      return Answer::failed(errno);
  }
  if ((in.valid & FATTR_SIZE) != 0) {
    const int file = handle >= 0 ? handle
                                 : openat(place.directory, place.name, O_WRONLY | O_CLOEXEC);
    const int failed = file < 0 ? -1 : ftruncate(file, static_cast<off_t>(in.size));
    const int error = errno;
    if (file >= 0 && file != handle) close(file);
    if (failed != 0) return Answer::failed(error);
  }
  if ((in.valid & (FATTR_ATIME | FATTR_MTIME)) != 0) {
    const auto time = [&in](std::uint32_t given, std::uint32_t now, std::uint64_t s,
                            std::uint32_t ns) -> timespec {
      if ((in.valid & now) != 0) return {0, UTIME_NOW};
      if ((in.valid & given) == 0) return {0, UTIME_OMIT};
      return {static_cast<time_t>(s), static_cast<long>(ns)};
    };
    const timespec times[2] = {time(FATTR_ATIME, FATTR_ATIME_NOW, in.atime, in.atimensec),
                               time(FATTR_MTIME, FATTR_MTIME_NOW, in.mtime, in.mtimensec)};
    if (utimensat(place.directory, place.name, times, place.flags) != 0)
      return Answer::failed(errno);
  }
  return attributes_of(node, handle);
}

Answer Operations::read_link(const Request& request) {
  const Place place = nodes_.place(nodes_.at(request.head.nodeid));
  std::string target(PATH_MAX, '\0');
  const ssize_t size = readlinkat(place.directory, place.name, target.data(), target.size());
  if (size < 0) return Answer::failed(errno);
  target.resize(static_cast<std::size_t>(size));
  return {0, std::move(target), true, true};
}

// New files belong to who asked for them.
void Operations::give_to(const fuse_in_header& head, const Place& place) const {
  if (head.uid != 0 || head.gid != 0)
    (void)!fchownat(place.directory, place.name, head.uid, head.gid, AT_SYMLINK_NOFOLLOW);
}

Answer Operations::made(const Request& request, Node& parent, const char* name) {
  give_to(request.head, {parent.handle, name, 0});
  return entry(parent, name);
}

Answer Operations::make_symlink(const Request& request) {
  Node& parent = nodes_.at(request.head.nodeid);
  const char* name = request.name();
  const char* target = name + std::strlen(name) + 1;
  if (symlinkat(target, parent.handle, name) != 0) return Answer::failed(errno);
  return made(request, parent, name);
}

Answer Operations::make_node(const Request& request) {
  Node& parent = nodes_.at(request.head.nodeid);
  const auto& in = request.as<fuse_mknod_in>();
  const char* name = request.name(sizeof in);
  if (mknodat(parent.handle, name, in.mode, in.rdev) != 0) return Answer::failed(errno);
  return made(request, parent, name);
}

Answer Operations::make_directory(const Request& request) {
  Node& parent = nodes_.at(request.head.nodeid);
  const auto& in = request.as<fuse_mkdir_in>();
  const char* name = request.name(sizeof in);
  if (mkdirat(parent.handle, name, in.mode) != 0) return Answer::failed(errno);
  return made(request, parent, name);
}

Answer Operations::make_link(const Request& request) {
  Node& parent = nodes_.at(request.head.nodeid);
  const auto& in = request.as<fuse_link_in>();
  const char* name = request.name(sizeof in);
  const Place from = nodes_.place(nodes_.at(in.oldnodeid));
  const int flags = from.flags == 0 ? AT_SYMLINK_FOLLOW : 0;
  if (linkat(from.directory, from.name, parent.handle, name, flags) != 0)
    return Answer::failed(errno);
  return entry(parent, name);
}

Answer Operations::remove(const Request& request, int flags) {
  Node& parent = nodes_.at(request.head.nodeid);
  if (flags == 0) nodes_.before_unlink(parent, request.name());
  return result(unlinkat(parent.handle, request.name(), flags));
}

Answer Operations::rename(const Request& request, std::uint64_t directory, unsigned flags,
                          std::size_t skipped) {
  Node& from = nodes_.at(request.head.nodeid);
  Node& to = nodes_.at(directory);
  const char* name = request.name(skipped);
  const char* new_name = name + std::strlen(name) + 1;
  nodes_.before_unlink(to, new_name);
  if (renameat2(from.handle, name, to.handle, new_name, flags) != 0)
    return Answer::failed(errno);
  nodes_.after_rename(to, new_name);
  if ((flags & RENAME_EXCHANGE) != 0) nodes_.after_rename(from, name);
  return {};
}

Answer Operations::open(const Request& request) {
  const Place place = nodes_.place(nodes_.at(request.head.nodeid));
  int flags = file_flags(request.as<fuse_open_in>().flags);
  if (place.flags == 0) flags &= ~O_NOFOLLOW;
  return opened(openat(place.directory, place.name, flags), FOPEN_NOFLUSH, true);
}

Answer Operations::create(const Request& request) {
  Node& parent = nodes_.at(request.head.nodeid);
  const auto& in = request.as<fuse_create_in>();
  const char* name = request.name(sizeof in);
  const int flags = file_flags(in.flags) | O_CREAT | static_cast<int>(in.flags & O_EXCL);
  const int handle = openat(parent.handle, name, flags, in.mode & 07777);
  Answer answer = opened(handle, FOPEN_NOFLUSH, true);
  if (handle < 0) return answer;
  Answer found = made(request, parent, name);
  if (found.error != 0) {
    close(handle);
    return found;
  }
  found.bytes += answer.bytes;
  return found;
}

Answer Operations::read(const Request& request) const {
  const auto& in = request.as<fuse_read_in>();
  Answer answer;
  answer.bytes.resize(in.size);
  const ssize_t got = pread(handle_of(in.fh), answer.bytes.data(), in.size,
                            static_cast<off_t>(in.offset));
  if (got < 0) return Answer::failed(errno);
  answer.bytes.resize(static_cast<std::size_t>(got));
  return answer;
}

Answer Operations::write(const Request& request) const {
  const auto& in = request.as<fuse_write_in>();
  const ssize_t put = pwrite(handle_of(in.fh), request.body + sizeof in, in.size,
                             static_cast<off_t>(in.offset));
  if (put < 0) return Answer::failed(errno);
  fuse_write_out out{};
  out.size = static_cast<std::uint32_t>(put);
  return Answer::of(out);
}

Answer Operations::sync(const Request& request) const {
  const auto& in = request.as<fuse_fsync_in>();
  const int handle = handle_of(in.fh);
  return result((in.fsync_flags & FUSE_FSYNC_FDATASYNC) != 0 ? fdatasync(handle) : fsync(handle));
}

Answer Operations::allocate(const Request& request) const {
  const auto& in = request.as<fuse_fallocate_in>();
  return result(fallocate(handle_of(in.fh), static_cast<int>(in.mode),
                          static_cast<off_t>(in.offset), static_cast<off_t>(in.length)));
}

Answer Operations::seek(const Request& request) const {
  const auto& in = request.as<fuse_lseek_in>();
  const off_t at = lseek(handle_of(in.fh), static_cast<off_t>(in.offset),
                         static_cast<int>(in.whence));
  if (at < 0) return Answer::failed(errno);
  return Answer::of(fuse_lseek_out{static_cast<std::uint64_t>(at)});
}

Answer Operations::open_directory(const Request& request) {
  const int directory = nodes_.at(request.head.nodeid).handle;
  return opened(openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 0, false);
}

Answer Operations::read_directory(const Request& request, bool with_attributes) {
  const auto& in = request.as<fuse_read_in>();
  const int handle = handle_of(in.fh);
  Node& parent = nodes_.at(request.head.nodeid);
  Answer answer;
  if (lseek(handle, static_cast<off_t>(in.offset), SEEK_SET) < 0) return Answer::failed(errno);
  alignas(8) char names[1 << 16];
  while (true) {
    const long got = syscall(SYS_getdents64, handle, names, std::min<std::size_t>(sizeof names, in.size));
    if (got < 0) return Answer::failed(errno);
    if (got == 0) break;
    for (long at = 0; at < got;) {
      const auto& found = *reinterpret_cast<const dirent64*>(names + at);
      at += found.d_reclen;
      const std::size_t length = std::strlen(found.d_name);
      const std::size_t head = (with_attributes ? sizeof(fuse_entry_out) : 0) + FUSE_NAME_OFFSET;
      const std::size_t size = FUSE_DIRENT_ALIGN(head + length);
      if (answer.bytes.size() + size > in.size) return answer;
      if (with_attributes) {
        fuse_entry_out out{};  // node 0: no attributes, which "." and ".." need not have
        const bool is_dots = std::strcmp(found.d_name, ".") == 0 ||
                             std::strcmp(found.d_name, "..") == 0;
        if (!is_dots) fill_entry(parent, found.d_name, out);
        answer.bytes.append(reinterpret_cast<const char*>(&out), sizeof out);
      }
      fuse_dirent out{};
      out.ino = found.d_ino;
      out.off = static_cast<std::uint64_t>(found.d_off);
      out.namelen = static_cast<std::uint32_t>(length);
      out.type = found.d_type;
      answer.bytes.append(reinterpret_cast<const char*>(&out), FUSE_NAME_OFFSET);
      answer.bytes.append(found.d_name, length);
      answer.bytes.append(size - head - length, '\0');
    }
  }
  // NFS says with the last names that they are the last; FUSE asks once more to learn it.
  answer.round_trip = !answer.bytes.empty();
  return answer;
}

Answer Operations::release(const Request& request) const {
  close(handle_of(request.as<fuse_release_in>().fh));
  return {0, {}, false, true};
}

Answer Operations::file_system(const Request&) {
  struct statvfs about {};
  if (fstatvfs(nodes_.at(1).handle, &about) != 0) return Answer::failed(errno);
  fuse_statfs_out out{};
  out.st.blocks = about.f_blocks;
  out.st.bfree = about.f_bfree;
  out.st.bavail = about.f_bavail;
  out.st.files = about.f_files;
  out.st.ffree = about.f_ffree;
  out.st.bsize = static_cast<std::uint32_t>(about.f_bsize);
  out.st.frsize = static_cast<std::uint32_t>(about.f_frsize);
  out.st.namelen = static_cast<std::uint32_t>(about.f_namemax);
  return Answer::of(out);
}

Answer Operations::xattr(const Request& request) {
  if (!settings_.xattrs) return Answer::failed(ENOSYS, false);
  const Place place = nodes_.place(nodes_.at(request.head.nodeid));
  char path[PATH_MAX];
  if (place.flags == 0) std::snprintf(path, sizeof path, "%s", place.name);
  else std::snprintf(path, sizeof path, "/proc/self/fd/%d/%s", place.directory, place.name);

  if (request.head.opcode == FUSE_REMOVEXATTR) return result(lremovexattr(path, request.name()));
  if (request.head.opcode == FUSE_SETXATTR) {
    const auto& in = request.as<fuse_setxattr_in>();
    const char* name = request.name(FUSE_COMPAT_SETXATTR_IN_SIZE);
    const char* value = name + std::strlen(name) + 1;
    return result(lsetxattr(path, name, value, in.size, static_cast<int>(in.flags)));
  }
  const auto& in = request.as<fuse_getxattr_in>();
  Answer answer;
  answer.bytes.resize(in.size);
  char* value = in.size == 0 ? nullptr : answer.bytes.data();
  const ssize_t size = request.head.opcode == FUSE_LISTXATTR
                           ? llistxattr(path, value, in.size)
                           : lgetxattr(path, request.name(sizeof in), value, in.size);
  if (size < 0) return Answer::failed(errno);
  if (in.size == 0) return Answer::of(fuse_getxattr_out{static_cast<std::uint32_t>(size), 0});
  answer.bytes.resize(static_cast<std::size_t>(size));
  return answer;
}

void Operations::forget_batch(const Request& request) {
  const auto& in = request.as<fuse_batch_forget_in>();
  const auto* each = reinterpret_cast<const fuse_forget_one*>(request.body + sizeof in);
  for (std::uint32_t number = 0; number < in.count; ++number)
    nodes_.forget(each[number].nodeid, each[number].nlookup);
}
