// Putting single files into an archive; what walks the trees is in archive.cpp.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <unordered_map>

#include "archive.hpp"
#include "archive_member.hpp"
#include "archive_order.hpp"
#include "archive_stream.hpp"

namespace madang::files {

class Archiver {
 public:
  Archiver(ArchiveStream& stream, ArchiveOrder& order, const ArchiveOptions& options, const Run& run);

  // What must not be archived.
  void leave_out(const struct stat& archive) { archives_.push_back({archive.st_dev, archive.st_ino}); }

  // Puts `name`, in the directory that is open as `fd`, into the archive. `type` as readdir says.
  void add(Lane& lane, int fd, const char* name, const std::string& path, unsigned char type);
  // A directory that is open.
  void add_directory(Lane& lane, int fd, const struct stat& status, const std::string& path);

  // What the lane holds back is handed in.
  void flush(Lane& lane) { order_.hand_in(lane, state(lane).batch); }

  void fail(const char* action, const std::string& path, int error);
  void notice(Notice notice, const std::string& path, std::uint64_t count = 0);
  // Something could not be looked at or opened: gone, or worse.
  void fail_or_vanished(const char* action, const std::string& path, int error, bool is_root);

  Archived result() const;

 private:
  struct FileKey {
    dev_t device;
    ino_t inode;
    bool operator==(const FileKey& other) const { return device == other.device && inode == other.inode; }
  };
  struct FileKeyHash {
    std::size_t operator()(const FileKey& key) const { return key.inode * 0x9e3779b97f4a7c15u ^ key.device; }
  };
  struct LaneState {
    Bytes batch;
    std::string header;
    tar::Member member;
    uid_t uid = 0;
    gid_t gid = 0;
    bool owner_known = false;
    std::string user, group;
    std::uint64_t members = 0;
    std::uint64_t bytes = 0;
  };

  LaneState& state(Lane& lane);
  void add_file(Lane& lane, LaneState& state, int fd, const struct stat& status, const std::string& path);
  void add_special(Lane& lane, int fd, const char* name, const std::string& path, bool is_root);
  void add_small(Lane& lane, LaneState& state, int fd, const struct stat& status, const std::string& path);
  void add_large(Lane& lane, LaneState& state, int fd, const struct stat& status, const std::string& path);
  void pour(Lane& lane, ArchiveStream::Turn& turn, int fd, const tar::Member& member,
            const std::string& path, bool& whole);
  void prepare(LaneState& state, const struct stat& status, const std::string& path, int fd);
  void add_header(Lane& lane, LaneState& state);
  void add_link_or(Lane& lane, LaneState& state, const struct stat& status, std::string_view content);
  // Whether the file is in the archive by another name: then the lane's member is now a link to it.
  bool is_linked(LaneState& state, const struct stat& status);
  void remember_link(const LaneState& state, const struct stat& status);
  void added(Lane& lane, LaneState& state, std::uint64_t bytes);
  bool is_archive(const struct stat& status, const std::string& path);
  void check_unchanged(int fd, const struct stat& status, const std::string& path);

  ArchiveStream& stream_;
  ArchiveOrder& order_;
  const ArchiveOptions& options_;
  Failures failures_;
  OwnerNames owners_;
  std::vector<FileKey> archives_;
  std::array<std::unique_ptr<LaneState>, Crew::kMaxLanes> lanes_;
  std::atomic<bool> without_atime_{true};
  std::atomic<std::uint64_t> changed_{0};

  std::mutex links_mutex_;
  std::unordered_map<FileKey, std::string, FileKeyHash> links_;  // names in the archive

  std::mutex tell_mutex_;  // of what follows
  std::vector<std::string> removed_prefixes_;
};

}  // namespace madang::files
