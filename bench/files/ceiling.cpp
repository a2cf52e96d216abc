// How fast threads get through a tree with the bare system calls: what a parallel command could
// reach at best here and now. No options, no output, no care for anything unusual.
//
//   ceiling list|chmod|chown|rm|cp|tar THREADS TREE [TARGET]
//
// chmod and chown set the numeric mode or owner TARGET, cp makes the directory TARGET, tar the file.
// The directories are read level by level; then the files are shared out by eights, so that no
// thread is left with a whole directory at the end - except where the kernel lets only one at a time
// change a directory: threads that wait for each other there are far slower than one.
#include <dirent.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <barrier>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr std::size_t kUnitFiles = 8;
constexpr std::size_t kFileBytes = 1 << 16;

struct Directory {
  std::string name;
  int parent;  // handle
  int handle = -1;
  int copy_parent = -1;
  int copy = -1;
  std::string names;  // of its files, each with its end
  std::vector<std::size_t> files;
  std::vector<std::string> directories;
};

struct Unit {
  Directory* directory;
  std::size_t first, end;
};

void check(long returned, const char* what) {
  if (returned >= 0) return;
  std::fprintf(stderr, "ceiling: %s: %s\n", what, std::strerror(errno));
  std::_Exit(1);
}

int open_directory(int parent, const char* name) {
  const int handle = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  check(handle, name);
  return handle;
}

void read_directory(Directory& directory) {
  directory.handle = open_directory(directory.parent, directory.name.c_str());
  alignas(8) char buffer[1 << 15];
  while (true) {
    const long got = syscall(SYS_getdents64, directory.handle, buffer, sizeof buffer);
    check(got, "getdents64");
    if (got == 0) return;
    for (long at = 0; at < got;) {
      const auto& found = *reinterpret_cast<const dirent64*>(buffer + at);
      at += found.d_reclen;
      if (std::strcmp(found.d_name, ".") == 0 || std::strcmp(found.d_name, "..") == 0) continue;
      if (found.d_type == DT_DIR) {
        directory.directories.emplace_back(found.d_name);
      } else {
        directory.files.push_back(directory.names.size());
        directory.names.append(found.d_name).push_back('\0');
      }
    }
  }
}

class Ceiling {
 public:
  Ceiling(std::string operation, unsigned threads, const char* tree, const char* target)
      : operation_(std::move(operation)), threads_(threads), target_(target) {
    levels_.emplace_back();
    levels_[0].push_back({tree, AT_FDCWD, -1, AT_FDCWD, -1, {}, {}, {}});
    if (operation_ == "tar") {
      archive_ = open(target, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
      check(archive_, target);
    }
  }

  void run() {
    std::vector<std::thread> threads;
    for (unsigned number = 1; number < threads_; ++number) threads.emplace_back([this] { help(); });
    while (!levels_.back().empty()) read_level();
    levels_.pop_back();
    do_files();
    if (operation_ == "rm") remove_directories();
    is_over_ = true;
    start_.arrive_and_wait();
    for (std::thread& thread : threads) thread.join();
  }

 private:
  // `work` for each number below `count`, by all threads.
  void share(std::size_t count, std::function<void(std::size_t)> work) {
    work_ = std::move(work);
    count_ = count;
    next_ = 0;
    start_.arrive_and_wait();
    take();
    end_.arrive_and_wait();
  }

  void help() {
    while (true) {
      start_.arrive_and_wait();
      if (is_over_) return;
      take();
      end_.arrive_and_wait();
    }
  }

  void take() {
    for (std::size_t number = next_++; number < count_; number = next_++) work_(number);
  }

  void read_level() {
    std::vector<Directory>& level = levels_.back();
    share(level.size(), [this, &level](std::size_t number) {
      Directory& directory = level[number];
      read_directory(directory);
      if (operation_ == "cp") {
        const char* name = directory.copy_parent == AT_FDCWD ? target_ : directory.name.c_str();
        check(mkdirat(directory.copy_parent, name, 0755), name);
        directory.copy = open_directory(directory.copy_parent, name);
      }
    });
    std::vector<Directory> next;
    for (const Directory& directory : level)
      for (const std::string& name : directory.directories)
        next.push_back({name, directory.handle, -1, directory.copy, -1, {}, {}, {}});
    levels_.push_back(std::move(next));
  }

  void do_files() {
    std::vector<Unit> units;
    std::vector<Directory*> directories;
    const bool is_changing = operation_ == "rm" || operation_ == "cp";
    for (std::vector<Directory>& level : levels_) {
      for (Directory& directory : level) {
        directories.push_back(&directory);
        const std::size_t files = directory.files.size();
        const std::size_t step = is_changing ? std::max<std::size_t>(files, 1) : kUnitFiles;
        for (std::size_t first = 0; first < files; first += step)
          units.push_back({&directory, first, std::min(first + step, files)});
      }
    }
    share(units.size(), [this, &units](std::size_t number) { do_unit(units[number]); });
    if (operation_ != "chmod" && operation_ != "chown") return;
    share(directories.size(), [this, &directories](std::size_t number) {
      const int handle = directories[number]->handle;
      if (operation_ == "chmod") check(fchmod(handle, mode()), "fchmod");
      else check(fchown(handle, owner(), owner()), "fchown");
    });
  }

  void do_unit(const Unit& unit) {
    std::string archived;
    const Directory& directory = *unit.directory;
    for (std::size_t number = unit.first; number < unit.end; ++number) {
      const char* name = directory.names.c_str() + directory.files[number];
      if (operation_ == "list") {
        struct statx about;
        check(statx(directory.handle, name, AT_SYMLINK_NOFOLLOW, STATX_BASIC_STATS, &about), name);
      } else if (operation_ == "chmod") {
        check(fchmodat(directory.handle, name, mode(), 0), name);
      } else if (operation_ == "chown") {
        check(fchownat(directory.handle, name, owner(), owner(), AT_SYMLINK_NOFOLLOW), name);
      } else if (operation_ == "rm") {
        check(unlinkat(directory.handle, name, 0), name);
      } else {
        do_content(directory, name, archived);
      }
    }
    if (archived.empty()) return;
    const std::size_t at = archive_bytes_.fetch_add(archived.size());
    check(pwrite(archive_, archived.data(), archived.size(), static_cast<off_t>(at)), "pwrite");
  }

  void do_content(const Directory& directory, const char* name, std::string& archived) {
    thread_local std::vector<char> content(kFileBytes);
    const int source = openat(directory.handle, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    check(source, name);
    if (operation_ == "tar") {
      struct stat about;
      check(fstat(source, &about), name);
    }
    const ssize_t size = read(source, content.data(), content.size());
    check(size, name);
    if (operation_ == "tar") {
      archived.append(512, '\0').append(content.data(), static_cast<std::size_t>(size));
    } else {
      const int copy =
          openat(directory.copy, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
      check(copy, name);
      check(write(copy, content.data(), static_cast<std::size_t>(size)), name);
      close(copy);
    }
    close(source);
  }

  void remove_directories() {
    for (auto level = levels_.rbegin(); level != levels_.rend(); ++level)
      share(level->size(), [level](std::size_t number) {
        Directory& directory = (*level)[number];
        check(unlinkat(directory.parent, directory.name.c_str(), AT_REMOVEDIR), "rmdir");
      });
  }

  mode_t mode() const { return static_cast<mode_t>(std::strtoul(target_, nullptr, 8)); }
  uid_t owner() const { return static_cast<uid_t>(std::strtoul(target_, nullptr, 10)); }

  std::string operation_;
  unsigned threads_;
  const char* target_;
  std::vector<std::vector<Directory>> levels_;
  int archive_ = -1;
  std::atomic<std::size_t> archive_bytes_{0};

  std::barrier<> start_{threads_}, end_{threads_};
  std::function<void(std::size_t)> work_;
  std::size_t count_ = 0;
  std::atomic<std::size_t> next_{0};
  bool is_over_ = false;
};

}  // namespace

int main(int count, char** arguments) {
  const std::string operations[] = {"list", "chmod", "chown", "rm", "cp", "tar"};
  const bool is_known =
      count >= 4 && std::find(std::begin(operations), std::end(operations), arguments[1]) !=
                        std::end(operations);
  const std::string operation = is_known ? arguments[1] : "";
  if (!is_known || (count < 5 && operation != "list" && operation != "rm")) {
    std::fprintf(stderr, "usage: ceiling list|chmod|chown|rm|cp|tar THREADS TREE [TARGET]\n");
    return 2;
  }
  const rlimit files{1 << 20, 1 << 20};
  setrlimit(RLIMIT_NOFILE, &files);
  const auto threads = static_cast<unsigned>(std::max(1, std::atoi(arguments[2])));
  Ceiling ceiling(operation, threads, arguments[3], count > 4 ? arguments[4] : "");
  ceiling.run();
  std::_Exit(0);
}
