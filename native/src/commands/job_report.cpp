#include "job_report.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace madang::commands {
namespace {

constexpr std::int64_t kTellEveryNs = 1'000'000'000;

double seconds_since_epoch() {
  timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

}  // namespace

JobReport::JobReport() {
  const char* address = std::getenv("MADANG_REPORT_SOCKET");
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (!address || !*address || std::strlen(address) >= sizeof name.sun_path) return;
  std::strcpy(name.sun_path, address);
  fd_ = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd_ >= 0 && connect(fd_, reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    close(fd_);
    fd_ = -1;
  }
}

JobReport::~JobReport() {
  if (fd_ >= 0) close(fd_);
}

void JobReport::tell(const files::Progress& progress) {
  latest_ = progress;
  is_told_ = false;
  const std::int64_t now = files::now_ns();
  if (told_ns_ != 0 && now - told_ns_ < kTellEveryNs) return;
  told_ns_ = now;
  send(progress);
}

void JobReport::tell_last() {
  if (!is_told_) send(latest_);
}

void JobReport::send(const files::Progress& progress) {
  is_told_ = true;
  char line[256];
  const double time = seconds_since_epoch();
  if (progress.total_items != told_total_) {
    told_total_ = progress.total_items;
    const int length = std::snprintf(line, sizeof line, "{\"time\":%.3f,\"rank\":0,\"total\":%llu}", time,
                                     static_cast<unsigned long long>(told_total_));
    (void)!::send(fd_, line, static_cast<std::size_t>(length), MSG_NOSIGNAL);
  }
  const int length = std::snprintf(
      line, sizeof line,
      "{\"step\":%llu,\"time\":%.3f,\"rank\":0,\"metrics\":{\"files\":%llu,\"bytes\":%llu}}",
      static_cast<unsigned long long>(progress.items), time,
      static_cast<unsigned long long>(progress.items), static_cast<unsigned long long>(progress.bytes));
  (void)!::send(fd_, line, static_cast<std::size_t>(length), MSG_NOSIGNAL);
}

}  // namespace madang::commands
