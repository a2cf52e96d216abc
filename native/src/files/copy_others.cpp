// Links, pipes, sockets and devices of a copy, and files with several names.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "copy_operation.hpp"

namespace madang::files {

// -- files with several names ------------------------------------------------------------------

bool HardLinks::claim(Lane& lane, const Key& key, const std::function<Waiter()>& waiter) {
  Place place;
  {
    std::lock_guard lock(mutex_);
    const auto [found, is_new] = records_.try_emplace(key);
    if (is_new) return true;
    if (!found->second.done) {
      found->second.waiters.push_back(waiter());
      return false;
    }
    place = found->second.place;
  }
  waiter()(lane, &place);
  return false;
}

void HardLinks::finish(Lane& lane, const Key& key, const Place* place) {
  std::vector<Waiter> waiters;
  {
    std::lock_guard lock(mutex_);
    Record& record = records_[key];
    waiters.swap(record.waiters);
    if (place) {
      record.done = true;
      record.place = *place;
    } else {
      records_.erase(key);
    }
  }
  for (const Waiter& waiter : waiters) waiter(lane, place);
}

bool Copy::is_first_link(Lane& lane, FileCopy& file, unsigned char type) {
  const HardLinks::Key key{file.source.st_dev, file.source.st_ino};
  file.is_first_link = links_.claim(lane, key, [&]() -> HardLinks::Waiter {
    file.from = Descriptor();
    auto waiting = std::make_shared<FileCopy>(std::move(file));
    return [this, waiting, type, held = waiting->directory.begin_work()](Lane& on, const HardLinks::Place* first) {
      link_to_first(on, *waiting, type, first);
      held->end_work(on);
    };
  });
  return file.is_first_link;
}

void Copy::link_to_first(Lane& lane, FileCopy& file, unsigned char type, const HardLinks::Place* first) {
  if (!first) return fail_target(file, "cannot create hard link", EIO);
  Descriptor opened;
  int dir_fd = -1;
  if (const std::shared_ptr<Anchor> anchor = first->anchor.lock()) {
    opened = open_directory(anchor->handle.fd(), first->below);
    dir_fd = opened.get();
  } else if (first->path.empty()) {
    dir_fd = first->root.fd();
  } else {
    opened = open_directory(first->root.fd(), first->path);
    dir_fd = opened.get();
  }
  if (dir_fd == -1) return fail_target(file, "cannot create hard link", errno);
  struct stat mine, others;
  lane.request();
  if (file.there != 0 &&
      fstatat(file.target_dir.fd(), file.target_name.c_str(), &mine, AT_SYMLINK_NOFOLLOW) == 0 &&
      fstatat(dir_fd, first->name.c_str(), &others, AT_SYMLINK_NOFOLLOW) == 0 &&
      mine.st_dev == others.st_dev && mine.st_ino == others.st_ino) {
    return skip(lane, file, type);  // they are one already
  }
  link_to(lane, file, type, dir_fd, first->name.c_str());
}

void Copy::link_to(Lane& lane, FileCopy& file, unsigned char type, int dir_fd, const char* name) {
  const std::string made = made_name(file);
  lane.request();
  int error = linkat(dir_fd, name, file.target_dir.fd(), made.c_str(), file.follow ? AT_SYMLINK_FOLLOW : 0) == 0 ? 0 : errno;
  if (error == 0) {
    error = put_in_place(lane, file, made);
    // Where both names are one file already, rename does nothing.
    if (made != file.target_name) unlinkat(file.target_dir.fd(), made.c_str(), 0);
  }
  if (error != 0) return fail_target(file, "cannot create hard link", error);
  count(lane, file, type, CopyEvent::Action::linked);
}

HardLinks::Place Copy::place_of(FileCopy& file) {
  if (file.directory.is_above_roots()) return {{}, "", file.target_dir, "", file.target_name};
  Directory* root = &file.directory;
  while (root->depth() != 0) root = root->parent().get();
  const RootTarget& target = root->parent()->state_as<RootTarget>();
  const std::shared_ptr<Anchor>& anchor = file.directory.state_as<Target>().anchor;
  const std::string_view relative = file.directory.relative();
  std::string path = target.name == "." ? "" : target.name;
  if (!path.empty() && !relative.empty()) path += '/';
  path += relative;
  return {anchor, std::string(below(*anchor, file.directory)), target.parent, path, file.target_name};
}

// -- links, pipes, sockets, devices ------------------------------------------------------------

void Copy::copy_link(Lane& lane, FileCopy& file) {
  if (!is_cleared(lane, file, DT_LNK)) return;
  if (options_.dry_run) return count(lane, file, DT_LNK, CopyEvent::Action::copied);
  const Preserve& preserve = options_.preserve;
  if (preserve.any_attribute() || preserve.links) {
    lane.request();
    if (fstatat(file.source_fd, file.name.c_str(), &file.source, AT_SYMLINK_NOFOLLOW) != 0) {
      return fail_source(file, "cannot stat", errno);
    }
  }
  if (options_.link) return link_to(lane, file, DT_LNK, file.source_fd, file.name.c_str());
  std::string text(256, '\0');
  for (;;) {
    lane.request();
    const ssize_t length = readlinkat(file.source_fd, file.name.c_str(), text.data(), text.size());
    if (length < 0) return fail_source(file, "cannot read symbolic link", errno);
    if (static_cast<std::size_t>(length) < text.size()) {
      text.resize(static_cast<std::size_t>(length));
      break;
    }
    text.resize(text.size() * 4);
  }
  if (preserve.links && file.source.st_nlink > 1 && !is_first_link(lane, file, DT_LNK)) return;
  const std::string made = made_name(file);
  lane.request();
  if (symlinkat(text.c_str(), file.target_dir.fd(), made.c_str()) != 0) {
    fail_target(file, "cannot create symbolic link", errno);
    if (file.is_first_link) links_.finish(lane, {file.source.st_dev, file.source.st_ino}, nullptr);
    return;
  }
  finish_other(lane, file, DT_LNK, made);
}

void Copy::copy_special(Lane& lane, FileCopy& file) {
  lane.request();
  if (fstatat(file.source_fd, file.name.c_str(), &file.source, file.follow ? 0 : AT_SYMLINK_NOFOLLOW) != 0) {
    return fail_source(file, "cannot stat", errno);
  }
  const auto type = static_cast<unsigned char>((file.source.st_mode & S_IFMT) >> 12);
  if (type == DT_REG || type == DT_DIR || type == DT_LNK) {
    return fail_source(file, "skipping", 0, ", as it was replaced while being copied");
  }
  if (!is_cleared(lane, file, type)) return;
  if (options_.dry_run) return count(lane, file, type, CopyEvent::Action::copied);
  if (options_.link) return link_to(lane, file, type, file.source_fd, file.name.c_str());
  if (options_.preserve.links && file.source.st_nlink > 1 && !is_first_link(lane, file, type)) return;
  const std::string made = made_name(file);
  const mode_t permissions = plain_mode(file.source);
  const bool is_open_later = options_.preserve.mode || options_.preserve.ownership;
  const mode_t mode = (file.source.st_mode & S_IFMT) | (is_open_later ? permissions & S_IRWXU : permissions);
  lane.request();
  if (mknodat(file.target_dir.fd(), made.c_str(), mode, file.source.st_rdev) != 0) {
    fail_target(file, type == DT_FIFO ? "cannot create fifo" : "cannot create special file", errno);
    if (file.is_first_link) links_.finish(lane, {file.source.st_dev, file.source.st_ino}, nullptr);
    return;
  }
  finish_other(lane, file, type, made);
}

void Copy::finish_other(Lane& lane, FileCopy& file, unsigned char type, const std::string& made) {
  if (options_.preserve.any_attribute()) {
    lane.request();
    const AttributeError error =
        copy_attributes_at(file.target_dir.fd(), made.c_str(), file.source, options_.preserve);
    if (error.action) fail_target(file, error.action, error.error);
    if (type != DT_LNK && options_.preserve.ownership && !options_.preserve.mode) {
      set_mode_at(file.target_dir.fd(), made.c_str(), file.source.st_mode, plain_mode(file.source) & ~umask_);
    }
  }
  const HardLinks::Key key{file.source.st_dev, file.source.st_ino};
  const int error = put_in_place(lane, file, made);
  if (error != 0) {
    unlinkat(file.target_dir.fd(), made.c_str(), 0);
    if (error == EEXIST && options_.no_clobber) {
      skip(lane, file, type);
    } else {
      fail_target(file, type == DT_LNK ? "cannot create symbolic link" : "cannot create special file", error);
    }
    if (file.is_first_link) links_.finish(lane, key, nullptr);
    return;
  }
  count(lane, file, type, CopyEvent::Action::copied);
  if (file.is_first_link) {
    const HardLinks::Place place = place_of(file);
    links_.finish(lane, key, &place);
  }
}

}  // namespace madang::files
