#include "extract_target.hpp"

#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "walk.hpp"

namespace madang::files {
namespace {

constexpr int kRootFlags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;

int make_with_parents(const std::string& path) {
  if (mkdir(path.c_str(), 0777) == 0 || errno == EEXIST) return 0;
  if (errno != ENOENT) return errno;
  const std::size_t slash = path.find_last_not_of('/') == std::string::npos
                                ? std::string::npos
                                : path.rfind('/', path.find_last_not_of('/'));
  if (slash == std::string::npos || slash == 0) return ENOENT;
  if (const int error = make_with_parents(path.substr(0, slash)); error != 0) return error;
  return mkdir(path.c_str(), 0777) == 0 || errno == EEXIST ? 0 : errno;
}

}  // namespace

ExtractTarget::ExtractTarget(const std::string& path, bool make)
    : most_open_(static_cast<std::size_t>(std::clamp(free_descriptors() / 4, 1, 4096))) {
  if (make) {
    if (const int error = make_with_parents(path); error != 0) {
      errno = error;
      return;
    }
  }
  root_ = std::make_shared<Descriptor>(open(path.c_str(), kRootFlags));
}

ExtractTarget::Opened ExtractTarget::look_up(std::string_view name) {
  std::lock_guard lock(mutex_);
  const auto found = open_.find(std::string(name));
  return found == open_.end() ? nullptr : found->second;
}

void ExtractTarget::keep(std::string_view name, const Opened& opened) {
  std::lock_guard lock(mutex_);
  // Archives go from directory to directory: all are let go at once, and those in use come again.
  if (open_.size() >= most_open_) open_.clear();
  open_.insert_or_assign(std::string(name), opened);
}

void ExtractTarget::declare(const std::string& name, mode_t mode) {
  std::lock_guard lock(mutex_);
  modes_.insert_or_assign(name, mode);
}

mode_t ExtractTarget::mode_of(const std::string& name) {
  std::lock_guard lock(mutex_);
  const auto found = modes_.find(name);
  return found == modes_.end() ? 0777 : (found->second & 0777) | 0700;  // files are to be made in it
}

ExtractTarget::Opened ExtractTarget::directory(std::string_view name, bool make) {
  if (name.empty()) return root_;
  if (Opened known = look_up(name)) return known;
  Descriptor opened = open_directory(root_->get(), name);
  if (!opened && errno == ENOENT && make) {
    const auto [parent_name, last] = split_last(name);
    const Opened parent = directory(parent_name);
    if (!parent) return nullptr;
    const std::string last_name(last);
    if (mkdirat(parent->get(), last_name.c_str(), mode_of(std::string(name))) != 0 && errno != EEXIST) return nullptr;
    opened = Descriptor(openat(parent->get(), last_name.c_str(), kRootFlags | O_NOFOLLOW));
  }
  if (!opened) return nullptr;
  const Opened shared = std::make_shared<Descriptor>(std::move(opened));
  keep(name, shared);
  return shared;
}

bool split_name(std::string_view name, std::string& cleaned) {
  cleaned.clear();
  while (!name.empty()) {
    const std::size_t end = std::min(name.find('/'), name.size());
    const std::string_view part = name.substr(0, end);
    if (part == "..") return false;
    if (!part.empty() && part != ".") {
      if (!cleaned.empty()) cleaned += '/';
      cleaned += part;
    }
    name.remove_prefix(std::min(end + 1, name.size()));
  }
  return true;
}

std::pair<std::string_view, std::string_view> split_last(std::string_view name) {
  const std::size_t slash = name.rfind('/');
  if (slash == std::string_view::npos) return {"", name};
  return {name.substr(0, slash), name.substr(slash + 1)};
}

}  // namespace madang::files
