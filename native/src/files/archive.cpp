#include "archive.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <thread>

#include "archive_stream.hpp"
#include "archive_tree.hpp"
#include "archiver.hpp"

namespace madang::files {
namespace {

// Removes a file that was not finished.
class Unfinished {
 public:
  explicit Unfinished(std::string path) : path_(std::move(path)) {}
  ~Unfinished() {
    if (!path_.empty()) unlink(path_.c_str());
  }
  // Gives it its name; 0 or an errno.
  int finish(const std::string& name) {
    if (rename(path_.c_str(), name.c_str()) != 0) return errno;
    path_.clear();
    return 0;
  }

 private:
  std::string path_;
};

std::string temporary_name(const std::string& path) {
  std::uint64_t random = 0;
  (void)!getrandom(&random, sizeof random, 0);
  char suffix[32];
  std::snprintf(suffix, sizeof suffix, ".%012llx.part", static_cast<unsigned long long>(random >> 16));
  const std::size_t slash = path.rfind('/');
  const std::size_t name_at = slash == std::string::npos ? 0 : slash + 1;
  return path.substr(0, name_at) + "." + path.substr(name_at, 200) + suffix;
}

// Where a symbolic link leads to: that file is replaced, not the link.
std::string resolved(const std::string& path) {
  struct stat status;
  if (lstat(path.c_str(), &status) != 0 || !S_ISLNK(status.st_mode)) return path;
  char* real = realpath(path.c_str(), nullptr);
  const std::string result = real ? real : path;
  free(real);
  return result;
}

}  // namespace

Archived archive_to(int fd, const std::string& output, const std::vector<ArchiveRoot>& roots,
                    const ArchiveOptions& options, const Run& run) {
  Crew crew(crew_options(run));
  ArchiveStream stream(fd, options.compression, options.level,
                       std::max(1u, std::thread::hardware_concurrency()));
  ArchiveOrder order(stream);
  Archiver archiver(stream, order, options, run);
  struct stat status;
  if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode)) archiver.leave_out(status);
  if (!output.empty() && stat(output.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
    archiver.leave_out(status);
  }
  ArchiveTree tree(archiver, order, roots, options);
  Walk walk(crew, tree);
  tree.add_to(walk);
  const bool complete = run_crew(crew, run);
  Archived result;
  if (complete) result.error = stream.finish();
  const Archived counts = archiver.result();
  const int error = result.error != 0 ? result.error : stream.error();
  result = counts;
  result.error = error;
  result.complete = complete && error == 0;
  result.archive_bytes = stream.written();
  return result;
}

Archived archive(const std::string& output, const std::vector<ArchiveRoot>& roots,
                 const ArchiveOptions& options, const Run& run) {
  Archived failed;
  failed.complete = false;
  struct stat status;
  const bool exists = stat(output.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) {
    const Descriptor device(open(output.c_str(), O_WRONLY | O_CLOEXEC));
    if (device) return archive_to(device.get(), output, roots, options, run);
    failed.error = errno;
    return failed;
  }
  const std::string final_name = resolved(output);
  const std::string temporary = temporary_name(final_name);
  const Descriptor file(open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  if (!file) {
    failed.error = errno;
    return failed;
  }
  Unfinished unfinished(temporary);
  if (exists) (void)!fchmod(file.get(), status.st_mode & 07777);
  Archived result = archive_to(file.get(), output, roots, options, run);
  if (!result.complete) return result;
  result.error = unfinished.finish(final_name);
  result.complete = result.error == 0;
  return result;
}

}  // namespace madang::files
