// The directory that is extracted to: everything in it is reached by handles from there, and no
// symbolic link is ever followed.
#pragma once

#include <sys/stat.h>

#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "../directory.hpp"

namespace madang::files {

class ExtractTarget {
 public:
  using Opened = std::shared_ptr<Descriptor>;

  // Throws nothing: errno is set where the directory can't be made or opened, and `is_open` is false.
  explicit ExtractTarget(const std::string& path, bool make);
  bool is_open() const { return root_ && *root_; }

  // Opens a directory by its name beneath (without ".." and empty parts), and makes what is missing
  // with the modes that were declared. Empty, with errno set, on failure.
  Opened directory(std::string_view name, bool make = true);

  // What a directory is to be in the end. It is never made with more than that.
  void declare(const std::string& name, mode_t mode);

 private:
  Opened look_up(std::string_view name);
  void keep(std::string_view name, const Opened& opened);
  mode_t mode_of(const std::string& name);

  Opened root_;
  std::size_t most_open_;
  std::mutex mutex_;  // of what follows
  std::unordered_map<std::string, Opened> open_;
  std::unordered_map<std::string, mode_t> modes_;
};

// The parts of a name, without empty ones and "."; false where one is "..".
bool split_name(std::string_view name, std::string& cleaned);

// "a/b" and "c" of "a/b/c".
std::pair<std::string_view, std::string_view> split_last(std::string_view name);

}  // namespace madang::files
