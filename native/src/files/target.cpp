#include "target.hpp"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>

#include "checksum.hpp"

namespace madang::files {
namespace {

constexpr std::size_t kHashDigits = 16;
constexpr int kOpenRetries = 200;
constexpr auto kOpenRetryAfter = std::chrono::milliseconds(5);

std::string read_small_file(const char* path) {
  const Descriptor file(open(path, O_RDONLY | O_CLOEXEC));
  char text[1024];
  const ssize_t length = file ? ::read(file.get(), text, sizeof text) : 0;
  return std::string(text, length > 0 ? static_cast<std::size_t>(length) : 0);
}

// When a process began, in ticks since the machine did; empty if there is none.
std::string start_of(const std::string& pid) {
  const std::string status = read_small_file(("/proc/" + pid + "/stat").c_str());
  std::size_t at = status.rfind(')');  // the name before it may hold anything
  if (at == std::string::npos) return {};
  for (int field = 2; field < 22 && at != std::string::npos; ++field) at = status.find(' ', at + 1);
  if (at == std::string::npos) return {};
  return status.substr(at + 1, status.find(' ', at + 1) - at - 1);
}

// Tells machines, their boots and their process namespaces apart: process numbers mean something
// only within one of them.
const std::string& machine() {
  static const std::string text = [] {
    std::string identity = read_small_file("/proc/sys/kernel/random/boot_id");
    struct stat status;
    if (stat("/proc/self/ns/pid", &status) == 0) identity += std::to_string(status.st_ino);
    char digits[kHashDigits + 1];
    std::snprintf(digits, sizeof digits, "%08x", static_cast<unsigned>(xxh3(identity)));
    return std::string(digits);
  }();
  return text;
}

std::string hash_of(std::string_view name) {
  char digits[kHashDigits + 1];
  std::snprintf(digits, sizeof digits, "%016llx", static_cast<unsigned long long>(xxh3(name)));
  return digits;
}

// Takes what leads up to the next '-' from `text`.
std::string_view next_field(std::string_view& text) {
  const std::size_t end = std::min(text.find('-'), text.size());
  const std::string_view field = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return field;
}

}  // namespace

PartName::PartName() {
  static std::atomic<unsigned> num_runs{0};
  const std::string pid = std::to_string(getpid());
  suffix_ = "-" + machine() + "-" + pid + "-" + start_of(pid) + "-" + std::to_string(++num_runs);
}

std::string PartName::of(std::string_view final_name) const {
  return std::string(kPrefix) + hash_of(final_name) + suffix_;
}

bool PartName::is_mine(std::string_view name) const {
  return name.starts_with(kPrefix) && name.ends_with(suffix_) &&
         name.size() == kPrefix.size() + kHashDigits + suffix_.size();
}

bool PartName::is_dead(std::string_view name) {
  if (!name.starts_with(kPrefix)) return false;
  name.remove_prefix(kPrefix.size());
  if (next_field(name).size() != kHashDigits) return false;
  if (next_field(name) != machine()) return true;
  const std::string pid(next_field(name));
  const std::string start(next_field(name));
  return pid.find_first_not_of("0123456789") == std::string::npos && start_of(pid) != start;
}

bool PartName::is_for(std::string_view name, std::string_view final_name) {
  return name.starts_with(kPrefix) && name.substr(kPrefix.size()).starts_with(hash_of(final_name));
}

int Listing::read(Lane& lane, int fd) {
  lane.request();
  DirectoryReader reader;  // the lane's own may be at work on the source
  return reader.read(fd, [&](const DirectoryReader::Record& record) {
    unsigned char type = record.type;
    struct statx status;
    if (type == DT_UNKNOWN && status_of(fd, record.name.data(), STATX_TYPE, status) == 0) {
      type = files::type_of(status);
    }
    if (type == DT_DIR && record.name.starts_with(PartName::kPrefix)) parts_.emplace_back(record.name);
    items_.try_emplace(std::string(record.name), type);
  });
}

unsigned char Listing::type_of(std::string_view name) const {
  const auto found = items_.find(name);
  return found == items_.end() ? 0 : found->second.type;
}

std::string Listing::left_part(std::string_view final_name) const {
  for (const std::string& part : parts_) {
    if (PartName::is_for(part, final_name) && PartName::is_dead(part)) return part;
  }
  return {};
}

void Listing::see(std::string_view name) {
  const auto found = items_.find(name);
  if (found != items_.end()) found->second.seen.store(true, std::memory_order_relaxed);
}

std::string_view below(const Anchor& anchor, const Directory& directory) {
  std::string_view relative = directory.relative();
  if (relative.size() <= anchor.source_depth) return {};
  relative.remove_prefix(anchor.source_depth + (anchor.source_depth != 0 ? 1 : 0));
  return relative;
}

Descriptor open_patiently(int dir_fd, const char* name, int flags, mode_t mode) {
  for (int attempt = 0;; ++attempt) {
    const int fd = openat(dir_fd, name, flags | O_CLOEXEC, mode);
    if (fd >= 0) return Descriptor(fd);
    const bool too_many = errno == EMFILE || errno == ENFILE;
    if (errno != EINTR && !(too_many && attempt < kOpenRetries)) return Descriptor();
    if (too_many) std::this_thread::sleep_for(kOpenRetryAfter);  // others will let some go
  }
}

int rename_new(int dir_fd, const char* from, const char* to) {
  if (renameat2(dir_fd, from, dir_fd, to, RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return errno;
  // A file system without that: NFS. A directory can't come to replace a file or one that is not empty.
  return renameat(dir_fd, from, dir_fd, to) == 0 ? 0 : errno;
}

}  // namespace madang::files
