#include "directories.hpp"

#include <fnmatch.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "access.hpp"

namespace madang::files {
namespace {

constexpr unsigned kWholeStatus = STATX_TYPE | STATX_MODE | STATX_NLINK | STATX_UID | STATX_GID |
                                  STATX_SIZE | STATX_BLOCKS | STATX_INO;

unsigned mask_of(const DirectoriesOptions& options) {
  const unsigned times[] = {STATX_MTIME, STATX_CTIME, STATX_ATIME};
  return kWholeStatus | times[static_cast<int>(options.time)];
}

// Looks at one name after the other.
class Examiner {
 public:
  Examiner(const Run& run, const DirectoriesOptions& options)
      : options_(options), failures_(run), mask_(mask_of(options)) {}

  // `path` makes the path that errors name. False: nothing is known of it.
  template <typename Path>
  bool look(Lane& lane, int fd, const char* name, bool must_know, Row& row, std::string& text, Path&& path) {
    const bool status = options_.status || must_know || (options_.types && row.type == DT_UNKNOWN) ||
                        (options_.executables && row.type == DT_REG);
    if (!status) return true;
    struct statx found;
    lane.request();
    const int error = status_of(fd, name, mask_, found);
    if (error != 0) {
      failures_.add("cannot access", path(), error);
      row.known = false;
      return false;
    }
    take(found, row);
    if (S_ISLNK(row.mode)) {
      if (options_.links) read_link(lane, fd, name, row, text, path);
      if (options_.targets) follow(lane, fd, name, row);
    } else if (options_.access) {
      row.access = marks_.mark(fd, name, S_ISDIR(row.mode), makedev(found.stx_dev_major, found.stx_dev_minor),
                               [&] { lane.request(); });
    }
    return true;
  }

  Failures& failures() { return failures_; }

 private:
  void take(const struct statx& found, Row& row) const {
    const statx_timestamp& time = options_.time == TimeOf::modification ? found.stx_mtime
                                  : options_.time == TimeOf::change     ? found.stx_ctime
                                                                        : found.stx_atime;
    row.seconds = time.tv_sec;
    row.nanoseconds = time.tv_nsec;
    row.inode = found.stx_ino;
    row.size = found.stx_size;
    row.blocks = found.stx_blocks;
    row.mode = found.stx_mode;
    row.num_links = found.stx_nlink;
    row.user = found.stx_uid;
    row.group = found.stx_gid;
    row.device_major = found.stx_rdev_major;
    row.device_minor = found.stx_rdev_minor;
    row.type = type_of(found);
  }

  template <typename Path>
  void read_link(Lane& lane, int fd, const char* name, Row& row, std::string& text, Path&& path) {
    std::vector<char>& buffer = lane.buffer(4097);
    lane.request();
    const ssize_t length = readlinkat(fd, name, buffer.data(), buffer.size());
    if (length < 0) {
      failures_.add("cannot read symbolic link", path(), errno);
      return;
    }
    row.link_at = text.size();
    row.link_length = static_cast<std::uint32_t>(length);
    text.append(buffer.data(), length);
  }

  void follow(Lane& lane, int fd, const char* name, Row& row) const {
    struct statx found;
    lane.request();
    if (statx(fd, name, AT_NO_AUTOMOUNT, STATX_TYPE | STATX_MODE, &found) == 0) row.target_mode = found.stx_mode;
  }

  const DirectoriesOptions& options_;
  Failures failures_;
  AccessMarks marks_;
  const unsigned mask_;
};

std::uint32_t add_name(Rows& rows, Row& row, std::string_view name) {
  row.name_at = rows.text.size();
  rows.text.append(name);
  return row.name_length = static_cast<std::uint32_t>(name.size());
}

struct Contents final : DirectoryState {
  bool opened = false;
  std::mutex mutex;  // of rows
  Rows rows;
};

class ListDirectories final : public Operation {
 public:
  ListDirectories(Examiner& examiner, const DirectoriesOptions& options, const Listed& listed)
      : examiner_(examiner), options_(options), listed_(listed) {}

  bool entry(Lane& lane, Directory& directory, int fd, const Entry& entry,
             std::unique_ptr<DirectoryState>& child_state) override {
    if (directory.is_above_roots()) {
      child_state = std::make_unique<Contents>();
      return true;
    }
    if (is_hidden(entry.name)) return false;
    Row row;
    row.type = entry.type;
    row.inode = entry.inode;
    const bool must_know = options_.recursive && entry.type == DT_UNKNOWN;
    add(lane, directory, fd, entry.view(), must_know, row);
    lane.done().add(1);
    if (!options_.recursive || row.type != DT_DIR) return false;
    child_state = std::make_unique<Contents>();
    return true;
  }

  bool entered(Lane& lane, Directory& directory, int fd) override {
    directory.state_as<Contents>().opened = true;
    if (options_.hidden != Hidden::all) return true;
    for (const char* name : {".", ".."}) {
      Row row;
      row.type = DT_DIR;
      add(lane, directory, fd, name, /*must_know=*/true, row);
    }
    return true;
  }

  void listed(Lane& lane, Directory& directory) override {
    Contents& contents = directory.state_as<Contents>();
    listed_(lane, directory, contents.opened ? &contents.rows : nullptr);
    directory.state.reset();
  }

  void failed(Lane&, Directory& directory, Stage stage, int error) override {
    examiner_.failures().add(stage == Stage::open ? "cannot open directory" : "reading directory",
                             directory.path(), error);
  }

  bool shares_directories() const override { return options_.status; }

 private:
  bool is_hidden(const char* name) const {
    if (*name == '.' && options_.hidden == Hidden::leave_out) return true;
    for (const std::string& pattern : options_.exclude) {
      if (fnmatch(pattern.c_str(), name, FNM_PERIOD) == 0) return true;
    }
    return false;
  }

  void add(Lane& lane, Directory& directory, int fd, std::string_view name, bool must_know, Row& row) {
    std::string link;
    examiner_.look(lane, fd, name.data(), must_know, row, link, [&] { return directory.path_of(name); });
    Contents& contents = directory.state_as<Contents>();
    std::lock_guard lock(contents.mutex);
    add_name(contents.rows, row, name);
    row.link_at = contents.rows.text.size();
    contents.rows.text.append(link);
    contents.rows.rows.push_back(row);
  }

  Examiner& examiner_;
  const DirectoriesOptions& options_;
  const Listed& listed_;
};

// One of the paths to look at.
class ExamineRoot final : public Task {
 public:
  ExamineRoot(Examiner& examiner, const std::string& path, bool follow, Row& row, std::string& link)
      : examiner_(examiner), path_(path), follow_(follow), row_(row), link_(link) {}

  void run(Lane& lane) override {
    examiner_.look(lane, AT_FDCWD, path_.c_str(), true, row_, link_, [&] { return path_; });
    if (!follow_ || !row_.known || !S_ISLNK(row_.mode)) return;
    struct statx found;
    lane.request();
    if (statx(AT_FDCWD, path_.c_str(), AT_NO_AUTOMOUNT, STATX_TYPE, &found) == 0 && S_ISDIR(found.stx_mode)) {
      row_.type = DT_DIR;
    }
  }

 private:
  Examiner& examiner_;
  const std::string& path_;
  const bool follow_;
  Row& row_;
  std::string& link_;
};

}  // namespace

Rows examine(const Run& run, const std::vector<std::string>& paths, const DirectoriesOptions& options,
             bool follow) {
  Rows rows;
  rows.rows.resize(paths.size());
  std::vector<std::string> links(paths.size());
  Examiner examiner(run, options);
  Crew crew(crew_options(run));
  for (std::size_t i = 0; i < paths.size(); ++i) {
    crew.add(std::make_unique<ExamineRoot>(examiner, paths[i], follow, rows.rows[i], links[i]));
  }
  run_crew(crew, run);
  for (std::size_t i = 0; i < paths.size(); ++i) {
    add_name(rows, rows.rows[i], paths[i]);
    rows.rows[i].link_at = rows.text.size();
    rows.text.append(links[i]);
  }
  return rows;
}

bool list_directories(const Run& run, const std::vector<std::string>& directories,
                      const DirectoriesOptions& options, const Listed& listed) {
  Examiner examiner(run, options);
  Crew crew(crew_options(run));
  ListDirectories operation(examiner, options, listed);
  Walk walk(crew, operation, {.one_file_system = options.one_file_system});
  for (const std::string& path : directories) walk.add(path, /*follow=*/true);
  return run_crew(crew, run);
}

}  // namespace madang::files
