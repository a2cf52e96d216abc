#include "copy.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <map>

#include "copy_operation.hpp"

namespace madang::files {
namespace {

std::string_view without_slashes(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  return path;
}

// What a source is called in the directory it is copied into; "." where it is that directory itself.
std::string name_in_target(std::string_view source) {
  source = without_slashes(source);
  const std::size_t slash = source.rfind('/');
  const std::string_view name = slash == std::string_view::npos ? source : source.substr(slash + 1);
  return name.empty() || name == ".." ? "." : std::string(name);
}

// A path as it was written, split into the directory and the name in it.
std::pair<std::string, std::string> split_path(std::string_view path) {
  path = without_slashes(path);
  const std::size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) return {".", std::string(path)};
  std::string_view name = path.substr(slash + 1);
  if (name.empty()) name = ".";
  return {std::string(slash == 0 ? "/" : path.substr(0, slash)), std::string(name)};
}

struct Root {
  std::string source;
  RootTarget target;
};

class Roots {
 public:
  Roots(Copy& copy, const CopyOptions& options) : copy_(copy), options_(options) {}

  // False: nothing can be copied, and that was told.
  bool find(const std::vector<std::string>& sources, const CopyTarget& target) {
    struct stat status;
    const bool exists = stat(target.path.c_str(), &status) == 0;
    const int error = exists ? ENOTDIR : errno;
    if (!target.no_target_directory && exists && S_ISDIR(status.st_mode)) {
      const Handle directory = open(target.path);
      if (!directory) return tell("cannot access", target.path, errno);
      for (const std::string& source : sources) add(source, directory, name_in_target(source), target.path);
      return true;
    }
    if (target.into_directory || sources.size() > 1) return tell("target", target.path, error);
    add_as(sources.front(), target.path, exists ? &status : nullptr);
    return true;
  }

  // Several sources with one name are copied one after the other.
  std::vector<std::vector<Root>> take_waves() { return std::move(waves_); }

 private:
  void add(const std::string& source, const Handle& directory, std::string name, const std::string& path) {
    if (!sources_.insert(std::string(without_slashes(source))).second) {
      struct stat status;
      const bool is_directory = stat(source.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
      copy_.warn(is_directory ? "source directory" : "source file", source, " specified more than once");
      return;
    }
    std::string whole = path;
    whole += (whole.back() == '/' ? "" : "/") + name;
    const unsigned wave = num_of_name_[name]++;
    if (wave != 0) copy_.remember_created();
    if (waves_.size() <= wave) waves_.resize(wave + 1);
    waves_[wave].push_back({source, make_target(directory, std::move(name), std::move(whole))});
  }

  // The target is a name of its own, not a directory to copy into.
  void add_as(const std::string& source, const std::string& path, const struct stat* existing) {
    waves_.resize(1);
    struct stat of_source;
    const bool follow = !options_.recursive || options_.follow != Follow::never;
    const bool is_file =
        fstatat(AT_FDCWD, source.c_str(), &of_source, follow ? 0 : AT_SYMLINK_NOFOLLOW) == 0 &&
        !S_ISDIR(of_source.st_mode) && (!options_.recursive || S_ISREG(of_source.st_mode));
    std::string written = path;
    if (existing && is_file && !options_.no_clobber) {
      if (S_ISCHR(existing->st_mode) || S_ISFIFO(existing->st_mode) || S_ISBLK(existing->st_mode)) {
        RootTarget target = make_target({}, "", path);
        target.write_through = true;
        waves_[0].push_back({source, std::move(target)});
        return;
      }
      // Whoever names a link as the target means what it points to.
      if (char* real = realpath(path.c_str(), nullptr)) {
        written = real;
        std::free(real);
      }
    }
    const auto [directory, name] = split_path(written);
    const Handle parent = open(directory);
    if (!parent) {
      tell(is_file ? "cannot create regular file" : "cannot create directory", path, errno);
      return;
    }
    if (is_file && !existing && path.back() == '/') {
      tell("cannot create regular file", path, ENOTDIR);
      return;
    }
    waves_[0].push_back({source, make_target(parent, name, path)});
  }

  RootTarget make_target(const Handle& parent, std::string name, std::string path) {
    RootTarget target;
    target.parent = parent;
    target.name = std::move(name);
    target.path = std::string(without_slashes(path));
    if (parent) copy_.remember_target(parent.fd(), target.name);
    return target;
  }

  Handle open(const std::string& path) {
    Descriptor opened = open_patiently(AT_FDCWD, path.c_str(), O_RDONLY | O_DIRECTORY);
    return opened ? Handle(std::move(opened), num_open_) : Handle();
  }

  bool tell(const char* action, const std::string& path, int error) {
    copy_.fail({action, path, error});
    return false;
  }

  Copy& copy_;
  const CopyOptions& options_;
  std::set<std::string> sources_;
  std::map<std::string, unsigned> num_of_name_;
  std::vector<std::vector<Root>> waves_;
  static inline std::atomic<int> num_open_{0};
};

}  // namespace

Copied copy(const std::vector<std::string>& sources, const CopyTarget& target,
            const CopyOptions& options, const Run& run) {
  Crew crew(crew_options(run));
  Copy copy(options, run);
  Roots roots(copy, options);
  bool complete = true;
  if (roots.find(sources, target)) {
    for (std::vector<Root>& wave : roots.take_waves()) {
      Walk walk(crew, copy, {options.one_file_system});
      const bool follow = options.follow != Follow::never;
      for (Root& root : wave) {
        walk.add(root.source, follow, AT_FDCWD, std::make_unique<RootTarget>(std::move(root.target)));
      }
      complete = complete && run_crew(crew, run);
    }
  }
  return copy.result(complete);
}

Copied Copy::result(bool complete) const {
  return {files_, directories_, others_, bytes_, updated_, skipped_, removed_, failures_.count(), complete};
}

}  // namespace madang::files
