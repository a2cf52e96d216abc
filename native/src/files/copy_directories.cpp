// Directories of a copy: made, taken up, filled, given their names.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "copy_operation.hpp"

namespace madang::files {
namespace {

constexpr int kReopenRetries = 200;
constexpr auto kReopenAfter = std::chrono::milliseconds(5);
constexpr int kDirectory = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;

mode_t current_umask() {
  // Not umask(): that would change it for other threads for a moment.
  char text[4096];
  const Descriptor status(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
  const ssize_t length = status ? read(status.get(), text, sizeof text - 1) : 0;
  text[std::max<ssize_t>(length, 0)] = '\0';
  const char* line = strstr(text, "\nUmask:");
  return line ? static_cast<mode_t>(std::strtoul(line + 7, nullptr, 8)) : 022;
}

Preserve with_times(Preserve preserve, bool times) {
  preserve.timestamps = preserve.timestamps || times;
  return preserve;
}

std::string joined(const std::string& directory, std::string_view name) {
  std::string path = directory;
  if (name.empty()) return path;
  if (!path.empty() && path.back() != '/') path += '/';
  return path.append(name);
}

}  // namespace

Copy::Copy(const CopyOptions& options, const Run& run)
    : options_(options),
      file_preserve_(with_times(options.preserve, options.resume || options.compare != Compare::none)),
      failures_(run),
      exclude_(options.exclude),
      content_(options.content),
      umask_(current_umask()),
      most_open_(std::max(2, free_descriptors() / 4)) {}

bool Copy::entry(Lane& lane, Directory& directory, int fd, const Entry& entry,
                 std::unique_ptr<DirectoryState>& child_state) {
  if (directory.is_above_roots()) return root_entry(lane, directory, fd, entry, child_state);
  Target& target = directory.state_as<Target>();
  if (target.listing) target.listing->see(entry.view());
  if (exclude_.matches(directory, entry) || is_own_part(directory, entry)) return false;
  unsigned char type = entry.type;
  if (type == DT_UNKNOWN) {
    struct statx status;
    lane.request();
    if (const int error = status_of(fd, entry.name, STATX_TYPE, status)) {
      failures_.add("cannot stat", directory.path_of(entry.view()), error);
      return false;
    }
    type = type_of(status);
  }
  if (type == DT_DIR) {
    auto child = std::make_unique<Target>();
    child->anchor = target.anchor;
    if (keep_handles()) child->parent = target.handle;
    if (target.listing) {
      child->there = target.listing->type_of(entry.view());
      if (options_.resume) child->left_part = target.listing->left_part(entry.view());
    }
    child_state = std::move(child);
    return true;
  }
  FileCopy file{.directory = directory,
                .source_fd = fd,
                .name = std::string(entry.view()),
                .target_name = std::string(entry.view()),
                .target_dir = target.handle,
                .is_private = target.anchor->is_private,
                .inherits_acl = target.inherits_acl};
  if (target.listing) file.there = target.listing->type_of(entry.view());
  copy_entry(lane, file, type);
  return false;
}

bool Copy::root_entry(Lane& lane, Directory& above, int fd, const Entry& entry,
                      std::unique_ptr<DirectoryState>& child_state) {
  RootTarget& root = above.state_as<RootTarget>();
  const bool follow = options_.follow != Follow::never;
  struct stat source;
  lane.request();
  if (fstatat(fd, entry.name, &source, follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
    failures_.add("cannot stat", std::string(entry.view()), errno);
    source_incomplete_ = true;
    return false;
  }
  if (exclude_.matches(entry.view())) return false;
  if (S_ISDIR(source.st_mode)) {
    if (!options_.recursive) {
      failures_.add("-r not specified; omitting directory", std::string(entry.view()), 0);
      return false;
    }
    child_state = std::make_unique<Target>();
    return true;
  }
  FileCopy file{.directory = above,
                .source_fd = fd,
                .name = std::string(entry.view()),
                .target_name = root.name,
                .target_dir = root.parent,
                .follow = follow,
                .any_content = !options_.recursive};
  if (root.write_through) {
    write_through(lane, file, root.path);
    return false;
  }
  struct statx existing;
  lane.request();
  const int error = status_of(root.parent.fd(), root.name.c_str(), STATX_TYPE, existing);
  if (error == 0) file.there = type_of(existing);
  if (options_.preserve.mode) file.inherits_acl = has_default_acl(root.parent.fd());
  copy_entry(lane, file, (source.st_mode & S_IFMT) >> 12);
  return false;
}

// What this very copy is making: the target lies in the source.
bool Copy::is_own_part(Directory& directory, const Entry& entry) {
  if (!part_name_.is_mine(entry.view())) return false;
  if (entry.type == DT_DIR || entry.type == DT_UNKNOWN) {
    std::lock_guard lock(roots_mutex_);
    const auto root = root_parts_.find(std::string(entry.view()));
    fail_into_itself(directory, root == root_parts_.end() ? directory.path_of(entry.view()) : root->second);
  }
  return true;
}

void Copy::fail_into_itself(Directory& directory, const std::string& target) {
  Directory* root = &directory;
  while (root->depth() != 0) root = root->parent().get();
  failures_.add({"cannot copy a directory,", root->path(), 0, ", into itself, ", target});
}

bool Copy::entered(Lane& lane, Directory& directory, int fd) {
  Target& target = directory.state_as<Target>();
  if (fstat(fd, &target.source) != 0) {
    failures_.add("cannot stat", directory.path(), errno);
    target.state = Target::absent;
    return false;
  }
  return make_directory(lane, directory, target);
}

// Makes the target directory, or opens the one that is there. False: there is none.
bool Copy::make_directory(Lane& lane, Directory& directory, Target& target) {
  const bool is_root = directory.depth() == 0;
  target.state = Target::absent;
  unsigned char& there = target.there;
  std::string name;
  if (is_root) {
    const RootTarget& root = directory.parent()->state_as<RootTarget>();
    name = root.name;
    target.anchor = std::make_shared<Anchor>(Anchor{{}, root.path, 0, false});
    target.parent = root.parent;
    struct statx existing;
    lane.request();
    if (root.parent && status_of(root.parent.fd(), name.c_str(), STATX_TYPE, existing) == 0) {
      there = type_of(existing);
    }
    if (options_.resume && root.parent && there != DT_DIR) target.left_part = left_part_of_root(lane, root);
    target.inherits_acl = options_.preserve.mode && root.parent && has_default_acl(root.parent.fd());
  } else {
    const Target& above = directory.parent()->state_as<Target>();
    name = directory.name();
    target.inherits_acl = above.inherits_acl;
    if (!target.parent && above.state == Target::open) target.parent = reopen(*directory.parent());
  }
  if (targets_.contains({target.source.st_dev, target.source.st_ino})) {
    if (is_root) {
      failures_.add({"", directory.path(), 0, " and ", target_path(directory), " are the same file"});
    } else {
      fail_into_itself(directory, target_path(directory));
    }
    return false;
  }
  if (there != 0 && there != DT_DIR && options_.compare == Compare::none) {
    failures_.add({"cannot overwrite non-directory", target_path(directory), 0, " with directory ",
                   directory.path()});
    return false;
  }
  if (options_.dry_run && there != DT_DIR) {
    count_directory(lane, directory);
    return true;
  }
  if (!target.parent) {
    failures_.add("cannot create directory", target_path(directory), errno);
    return false;
  }
  Descriptor opened;
  std::string part;
  if (there == DT_DIR) {
    lane.request();
    opened = open_patiently(target.parent.fd(), name.c_str(), kDirectory);
    target.made = target.anchor->is_private;
  } else {
    if (is_root || !target.anchor->is_private) part = part_name_.of(name);
    if (is_root) {
      std::lock_guard lock(roots_mutex_);
      root_parts_[part] = target_path(directory);
    }
    opened = make_or_take_up(lane, target, name, part);
    target.made = true;
  }
  if (!opened) {
    failures_.add(there == DT_DIR ? "cannot access" : "cannot create directory", target_path(directory), errno);
    return false;
  }
  Handle handle(std::move(opened), num_open_);
  if (is_root || !part.empty()) {
    target.anchor = std::make_shared<Anchor>(
        Anchor{handle, target_path(directory), directory.relative().size(), !part.empty()});
  }
  target.handle = std::move(handle);
  target.part = std::move(part);
  target.state = Target::open;
  if (target.part.empty()) target.parent = Handle();
  if (!target.listing && there == DT_DIR) {
    target.listing = std::make_unique<Listing>();
    if (const int error = target.listing->read(lane, target.handle.fd())) {
      failures_.add("cannot access", target_path(directory), error);
      target.state = Target::absent;
      return false;
    }
  }
  if (target.made) count_directory(lane, directory);
  return true;
}

// A new directory, under the name `part` unless that is empty. Or the one that a killed copy has left.
Descriptor Copy::make_or_take_up(Lane& lane, Target& target, const std::string& name,
                                 const std::string& part) {
  const int parent = target.parent.fd();
  const std::string& made = part.empty() ? name : part;
  lane.request();
  if (!part.empty() && !target.left_part.empty() &&
      rename_new(parent, target.left_part.c_str(), part.c_str()) == 0) {
    Descriptor opened = open_patiently(parent, part.c_str(), kDirectory);
    target.listing = std::make_unique<Listing>();
    if (opened && (errno = target.listing->read(lane, opened.get())) != 0) return Descriptor();
    return opened;
  }
  const mode_t mode = part.empty() ? plain_mode(target.source) | S_IRWXU : S_IRWXU;
  if (mkdirat(parent, made.c_str(), mode) != 0) return Descriptor();
  lane.request();
  return open_patiently(parent, made.c_str(), kDirectory);
}

// The name under which a root was left, among all that is where it goes.
std::string Copy::left_part_of_root(Lane& lane, const RootTarget& root) {
  Listing names;
  const Descriptor parent = open_patiently(root.parent.fd(), ".", kDirectory);
  if (!parent || names.read(lane, parent.get()) != 0) return {};
  return names.left_part(root.name);
}

void Copy::listed(Lane& lane, Directory& directory) {
  Target& target = directory.state_as<Target>();
  if (target.state != Target::open || !target.handle) return;
  if (target.listing && !directory.failed()) tidy(lane, directory, target);
  target.listing.reset();
  const bool wanted = target.made || options_.preserve.any_attribute();
  if (!wanted || !keep_handles()) target.handle = Handle();
}

void Copy::left(Lane& lane, Directory& directory) {
  Target& target = directory.state_as<Target>();
  if (target.state == Target::unseen) make_unentered(lane, directory, target);
  if (target.state == Target::open && !options_.dry_run) finish_directory(lane, directory, target);
  target.handle = Handle();
  target.anchor.reset();
}

// A mount point that is not to be walked, or a directory that can't be read: its copy is empty.
void Copy::make_unentered(Lane& lane, Directory& directory, Target& target) {
  const Handle parent = directory.parent()->handle();
  lane.request();
  if (!parent || fstatat(parent.fd(), directory.name(), &target.source, AT_SYMLINK_NOFOLLOW) != 0 ||
      !S_ISDIR(target.source.st_mode)) {
    return;
  }
  make_directory(lane, directory, target);
  target.listing.reset();
}

// Whether a directory that was there needs nothing.
bool Copy::has_attributes(const Target& target, int fd) const {
  struct stat now;
  if (target.made || options_.preserve.xattrs || fstat(fd, &now) != 0) return false;
  const struct stat& wanted = target.source;
  return now.st_mode == wanted.st_mode && now.st_uid == wanted.st_uid && now.st_gid == wanted.st_gid &&
         now.st_mtim.tv_sec == wanted.st_mtim.tv_sec && now.st_mtim.tv_nsec == wanted.st_mtim.tv_nsec;
}

// Everything in it is there: what else it has of its source, and its name.
void Copy::finish_directory(Lane& lane, Directory& directory, Target& target) {
  const bool preserves = options_.preserve.any_attribute();
  const mode_t wanted = plain_mode(target.source) & ~umask_;
  const bool restricted = target.made && (wanted & S_IRWXU) != S_IRWXU;
  if (!preserves && !restricted && target.part.empty() && !(options_.sync && target.made)) return;
  const Handle handle = target.handle ? target.handle : reopen(directory);
  if (!handle) {
    failures_.add("cannot access", target_path(directory), errno);
    return;
  }
  if (preserves && !has_attributes(target, handle.fd())) {
    lane.request();
    const Handle source = directory.failed() ? Handle() : directory.handle();
    const AttributeError error = copy_attributes(source ? source.fd() : -1, handle.fd(), target.source,
                                                 options_.preserve, target.inherits_acl);
    if (error.action) failures_.add(error.action, target_path(directory), error.error);
  }
  if (!options_.preserve.mode && target.made && (restricted || !target.part.empty())) {
    struct stat now {};
    lane.request();
    if (fstat(handle.fd(), &now) != 0 || fchmod(handle.fd(), wanted | (now.st_mode & S_ISGID)) != 0) {
      failures_.add("setting permissions for", target_path(directory), errno);
    }
  }
  if (options_.sync && fsync(handle.fd()) != 0 && errno != EINVAL) {
    failures_.add("failed to sync", target_path(directory), errno);
  }
  if (!target.part.empty()) give_name(lane, directory, target);
}

void Copy::give_name(Lane& lane, Directory& directory, Target& target) {
  const bool is_root = directory.depth() == 0;
  const std::string name =
      is_root ? directory.parent()->state_as<RootTarget>().name : std::string(directory.name());
  lane.request();
  int error = rename_new(target.parent.fd(), target.part.c_str(), name.c_str());
  if ((error == EEXIST || error == ENOTDIR) && options_.compare != Compare::none &&
      unlinkat(target.parent.fd(), name.c_str(), 0) == 0) {
    error = rename_new(target.parent.fd(), target.part.c_str(), name.c_str());
  }
  if (error != 0) {
    failures_.add({"cannot give its name to", target_path(directory), error,
                   "; what was copied is in ", target.part});
  } else if (options_.sync) {
    fsync(target.parent.fd());
  }
  target.parent = Handle();
}

void Copy::failed(Lane&, Directory& directory, Stage stage, int error) {
  source_incomplete_ = true;
  failures_.add(stage == Stage::open ? "cannot access" : "cannot read directory", directory.path(), error);
}

void Copy::remember_target(int parent_fd, const std::string& name) {
  struct stat status;
  if (fstatat(parent_fd, name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(status.st_mode)) {
    targets_.insert({status.st_dev, status.st_ino});
  }
}

void Copy::warn(const char* what, const std::string& path, const char* joint) {
  if (options_.warned) options_.warned({what, path, 0, joint});
}

void Copy::count_directory(Lane& lane, Directory& directory) {
  directories_.fetch_add(1, std::memory_order_relaxed);
  lane.done().add(1);
  if (options_.done) {
    options_.done(lane, {CopyEvent::Action::copied, directory.path(), target_path(directory), DT_DIR});
  }
}

// Independent of what others keep open: by the way from the anchor.
Handle Copy::reopen(Directory& directory) {
  const Anchor& anchor = *directory.state_as<Target>().anchor;
  const std::string_view way = below(anchor, directory);
  if (way.empty()) return anchor.handle;
  Descriptor opened;
  for (int attempt = 0; attempt < kReopenRetries; ++attempt) {
    opened = open_directory(anchor.handle.fd(), way);
    if (opened || (errno != EMFILE && errno != ENFILE)) break;
    std::this_thread::sleep_for(kReopenAfter);
  }
  return opened ? Handle(std::move(opened), num_open_) : Handle();
}

std::string Copy::target_path(Directory& directory) {
  const Anchor& anchor = *directory.state_as<Target>().anchor;
  return joined(anchor.path, below(anchor, directory));
}

std::string Copy::target_path(Directory& directory, std::string_view name) {
  if (directory.is_above_roots()) return directory.state_as<RootTarget>().path;
  return joined(target_path(directory), name);
}

}  // namespace madang::files
