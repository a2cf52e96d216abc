#include "sync.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

namespace madang::files {
namespace {

// 0: it has something in it; ENOENT: it is empty.
int look_into(const std::string& path) {
  const Descriptor directory(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) return errno;
  bool is_empty = true;
  const int error = DirectoryReader(4096).read(
      directory.get(), [&](const DirectoryReader::Record&) { is_empty = false; });
  return error != 0 ? error : is_empty ? ENOENT : 0;
}

}  // namespace

Copied sync(const std::string& source, const std::string& target, const SyncOptions& options,
            const Run& run) {
  const auto refuse = [&](const char* action, int error, const char* joint = "") {
    if (run.failed) run.failed({action, source, error, joint});
    Copied result;
    result.failures = 1;
    return result;
  };
  struct stat status;
  if (stat(source.c_str(), &status) != 0) return refuse("cannot stat", errno);
  const bool is_directory = S_ISDIR(status.st_mode);
  if (is_directory && options.remove_extra && !options.force) {
    const int error = look_into(source);
    if (error == ENOENT) {
      return refuse("refusing to remove all that is in the target because", 0,
                    " is empty; --force does it");
    }
    if (error != 0) return refuse("cannot read directory", error);
  }
  CopyOptions copying;
  copying.recursive = true;
  copying.follow = Follow::roots;
  copying.preserve = {true, true, true, options.keep_links, options.keep_xattrs, false};
  copying.one_file_system = options.one_file_system;
  copying.dry_run = options.dry_run;
  copying.resume = true;
  copying.sync = options.sync;
  copying.content = options.content;
  copying.exclude = options.exclude;
  copying.compare = options.compare_content ? Compare::content : Compare::size_and_time;
  copying.remove_extra = options.remove_extra;
  copying.done = options.done;
  copying.warned = options.warned;
  copying.wants_skipped = options.wants_skipped;
  CopyTarget place;
  place.path = target;
  place.no_target_directory = is_directory;
  return copy({source}, place, copying, run);
}

}  // namespace madang::files
