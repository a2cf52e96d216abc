#include "attributes.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include "exclude.hpp"

namespace madang::files {
namespace {

#ifndef SYS_fchmodat2
constexpr long kFchmodat2 = 452;  // the same on all architectures; Linux 6.6
#else
constexpr long kFchmodat2 = SYS_fchmodat2;
#endif

// Kernels before 6.6 can't change a mode by name without following a symbolic link that was put
// there meanwhile: a handle that is no file is opened, and its file changed by way of /proc.
int set_mode_by_handle(int fd, const char* name, mode_t mode) {
  const Descriptor file(openat(fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!file) return errno;
  struct stat status;
  if (fstat(file.get(), &status) != 0) return errno;
  if (S_ISLNK(status.st_mode)) return EOPNOTSUPP;
  char path[40];
  std::snprintf(path, sizeof path, "/proc/self/fd/%d", file.get());
  return chmod(path, mode) == 0 ? 0 : errno;
}

int set_mode(int fd, const char* name, mode_t mode, bool follow) {
  static std::atomic<bool> by_handle{false};
  if (follow) return fchmodat(fd, name, mode, 0) == 0 ? 0 : errno;
  if (!by_handle.load(std::memory_order_relaxed)) {
    if (syscall(kFchmodat2, fd, name, mode, AT_SYMLINK_NOFOLLOW) == 0) return 0;
    // ENOSYS: an older kernel; EPERM: of the file, or of a filter of system calls that does not know it.
    if (errno != ENOSYS && errno != EPERM) return errno;
    const bool missing = errno == ENOSYS;
    const int error = set_mode_by_handle(fd, name, mode);
    if (missing || error == 0) by_handle.store(true, std::memory_order_relaxed);
    return error;
  }
  return set_mode_by_handle(fd, name, mode);
}

// What changing modes and owners have in common: which entries, and what is told of them.
class Change : public Operation {
 public:
  Change(const ChangeOptions& options, const Run& run)
      : options_(options), failures_(run), exclude_(options.exclude) {}

  bool entry(Lane& lane, Directory& directory, int fd, const Entry& entry,
             std::unique_ptr<DirectoryState>&) override {
    if (exclude_.matches(directory, entry)) return false;
    const bool is_root = directory.is_above_roots();
    unsigned char type = entry.type;
    struct statx status;
    const bool follow = is_root && follows_roots();
    const bool looks = is_root || type == DT_UNKNOWN || needs_status(type);
    if (looks) {
      lane.request();
      int error = status_of(fd, entry.name, STATX_TYPE | STATX_MODE | STATX_UID | STATX_GID, status);
      if (error == 0 && follow && type_of(status) == DT_LNK) {
        error = statx(fd, entry.name, AT_NO_AUTOMOUNT,
                      STATX_TYPE | STATX_MODE | STATX_UID | STATX_GID, &status) == 0
                    ? 0
                    : errno;
      }
      if (error != 0) {
        if (is_root || error != ENOENT) {  // beneath, what is gone needs no change
          failures_.add("cannot access", directory.path_of(entry.view()), error);
        }
        return false;
      }
      type = type_of(status);
    }
    change(lane, directory, fd, entry, type, looks ? &status : nullptr, follow);
    return type == DT_DIR && options_.recursive;
  }

  void failed(Lane&, Directory& directory, Stage, int error) override {
    failures_.add("cannot read directory", directory.path(), error);
  }

  Changed result(bool complete) const {
    return {changed_.load(), retained_.load(), failures_.count(), complete};
  }

 protected:
  // Whether something of that type must be looked at first.
  virtual bool needs_status(unsigned char type) const = 0;
  // Whether symbolic links that were given lead to what they point to.
  virtual bool follows_roots() const = 0;
  virtual void change(Lane&, Directory&, int fd, const Entry&, unsigned char type,
                      const struct statx* status, bool follow) = 0;

  void count(Lane& lane, bool otherwise) {
    (otherwise ? changed_ : retained_).fetch_add(1, std::memory_order_relaxed);
    lane.done().add(1);
  }

  const ChangeOptions& options_;
  Failures failures_;

 private:
  Exclude exclude_;
  std::atomic<std::uint64_t> changed_{0};
  std::atomic<std::uint64_t> retained_{0};
};

class ModeOperation final : public Change {
 public:
  ModeOperation(const ModeChange& mode, const ChangeOptions& options, const Run& run,
                const OnModeChanged& changed)
      : Change(options, run), mode_(mode), told_(changed), fixed_(mode.ignores_old_mode()) {}

 private:
  bool needs_status(unsigned char type) const override {
    return type != DT_LNK && (options_.wants_old || !fixed_ || type == DT_DIR);
  }
  bool follows_roots() const override { return true; }

  void change(Lane& lane, Directory& directory, int fd, const Entry& entry, unsigned char type,
              const struct statx* status, bool follow) override {
    if (type == DT_LNK) return;
    const mode_t after = mode_.apply(status ? status->stx_mode : S_IFREG);
    if (!options_.dry_run) {
      lane.request();
      const int error = set_mode(fd, entry.name, after, follow);
      if (error == EOPNOTSUPP && !directory.is_above_roots()) return;  // a link by now
      if (error == ENOENT && !directory.is_above_roots()) return;      // gone by now
      if (error != 0) {
        failures_.add("changing permissions of", directory.path_of(entry.view()), error);
        return;
      }
    }
    count(lane, !status || (status->stx_mode & 07777u) != after);
    if (told_) {
      const std::string path = directory.path_of(entry.view());
      told_(lane, {path, status ? std::optional<mode_t>(status->stx_mode) : std::nullopt, after});
    }
  }

  const ModeChange& mode_;
  const OnModeChanged& told_;
  const bool fixed_;
};

class OwnerOperation final : public Change {
 public:
  OwnerOperation(const Owner& owner, const OwnerOptions& options, const Run& run,
                 const OnOwnerChanged& changed)
      : Change(options, run), owner_(owner), options_(options), told_(changed) {}

 private:
  bool needs_status(unsigned char) const override {
    return options_.wants_old || options_.only_from.user || options_.only_from.group;
  }
  bool follows_roots() const override { return !options_.recursive && !options_.links_themselves; }

  void change(Lane& lane, Directory& directory, int fd, const Entry& entry, unsigned char,
              const struct statx* status, bool follow) override {
    const Owner& from = options_.only_from;
    const bool other = status && ((from.user && *from.user != status->stx_uid) ||
                                  (from.group && *from.group != status->stx_gid));
    if (other) return count(lane, false);
    if (!options_.dry_run) {
      lane.request();
      const uid_t user = owner_.user.value_or(static_cast<uid_t>(-1));
      const gid_t group = owner_.group.value_or(static_cast<gid_t>(-1));
      if (fchownat(fd, entry.name, user, group, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT && !directory.is_above_roots()) return;  // gone by now
        failures_.add("changing ownership of", directory.path_of(entry.view()), errno);
        return;
      }
    }
    const bool same = status && (!owner_.user || *owner_.user == status->stx_uid) &&
                      (!owner_.group || *owner_.group == status->stx_gid);
    count(lane, !same);
    if (told_) {
      const std::string path = directory.path_of(entry.view());
      told_(lane, {path, status ? Owner{status->stx_uid, status->stx_gid} : Owner{}});
    }
  }

  const Owner& owner_;
  const OwnerOptions& options_;
  const OnOwnerChanged& told_;
};

Changed run_change(const std::vector<std::string>& paths, Change& change, const ChangeOptions& options,
                   const Run& run, int at_fd) {
  Crew crew(crew_options(run));
  Walk walk(crew, change, {options.one_file_system});
  for (const std::string& path : paths) walk.add(path, true, at_fd);
  return change.result(run_crew(crew, run));
}

}  // namespace

Changed change_mode(const std::vector<std::string>& paths, const ModeChange& mode,
                    const ChangeOptions& options, const Run& run, const OnModeChanged& changed,
                    int at_fd) {
  ModeOperation operation(mode, options, run, changed);
  return run_change(paths, operation, options, run, at_fd);
}

Changed change_owner(const std::vector<std::string>& paths, const Owner& owner,
                     const OwnerOptions& options, const Run& run, const OnOwnerChanged& changed,
                     int at_fd) {
  OwnerOperation operation(owner, options, run, changed);
  return run_change(paths, operation, options, run, at_fd);
}

}  // namespace madang::files
