// A FUSE file system that shows a directory the way a NAS would: each round trip takes its time,
// any number of them are on their way together.
//
//   latency_fs BEHIND MOUNTPOINT LATENCY_MS [--readdirplus] [--xattrs] [--counts FILE]
//
// It speaks the kernel's protocol itself: libfuse 3.14 never turns on FUSE_PARALLEL_DIROPS, so that
// lookups in one directory would wait for each other. Needs root. "ready" on its output means that
// it is mounted; it ends when it is unmounted, SIGTERM unmounts it. --counts: how many round trips
// there were, then how many requests of each opcode, written at the end.
#include <poll.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <string>

#include "operations.hpp"

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kRequestBytes = (1 << 20) + 8192;  // the largest write, and its head
constexpr int kReadsAtOnce = 64;

volatile std::sig_atomic_t g_stop = 0;

[[noreturn]] void fail(const std::string& what) {
  std::fprintf(stderr, "latency_fs: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

struct Reply {
  Clock::time_point due;
  std::uint64_t request;
  Answer answer;
};

// One thread: what is asked is done at once, the answer leaves when the round trip would be over.
class Server {
 public:
  Server(int device, Operations& operations, Clock::duration latency)
      : device_(device), operations_(operations), latency_(latency) {}

  void run() {
    sigset_t unblocked;
    sigemptyset(&unblocked);
    while (g_stop == 0) {
      send_due();
      bool is_idle = false;
      for (int count = 0; count < kReadsAtOnce && !is_idle; ++count) {
        const ssize_t size = read(device_, buffer_.get(), kRequestBytes);
        if (size > 0) take();
        else if (errno == EAGAIN) is_idle = true;
        else if (errno == ENODEV) return;  // unmounted
        else if (errno != EINTR && errno != ENOENT) fail("read /dev/fuse");
      }
      if (!is_idle) continue;
      pollfd ready{device_, POLLIN, 0};
      timespec wait{};
      if (!queue_.empty()) {
        const auto left = std::chrono::nanoseconds(queue_.front().due - Clock::now()).count();
        if (left <= 0) continue;
        wait.tv_sec = left / 1'000'000'000;
        wait.tv_nsec = left % 1'000'000'000;
      }
      ppoll(&ready, 1, queue_.empty() ? nullptr : &wait, &unblocked);
    }
  }

  void write_counts(const char* path) const {
    std::FILE* file = std::fopen(path, "w");
    if (file == nullptr) fail(path);
    std::fprintf(file, "round-trips %lu\n", round_trips_);
    for (std::size_t opcode = 0; opcode < counts_.size(); ++opcode)
      if (counts_[opcode] != 0) std::fprintf(file, "%zu %lu\n", opcode, counts_[opcode]);
    std::fclose(file);
  }

 private:
  void take() {
    const auto& head = *reinterpret_cast<const fuse_in_header*>(buffer_.get());
    if (head.opcode < counts_.size()) ++counts_[head.opcode];
    const auto arrived = Clock::now();
    Answer answer = operations_.answer({head, buffer_.get() + sizeof head});
    if (!answer.is_expected) return;
    if (answer.round_trip) ++round_trips_;
    if (answer.round_trip && latency_.count() > 0)
      queue_.push_back({arrived + latency_, head.unique, std::move(answer)});
    else
      send(head.unique, answer);
  }

  void send_due() {
    if (queue_.empty()) return;
    const auto now = Clock::now();
    for (; !queue_.empty() && queue_.front().due <= now; queue_.pop_front())
      send(queue_.front().request, queue_.front().answer);
  }

  void send(std::uint64_t request, Answer& answer) {
    if (answer.error != 0) answer.bytes.clear();
    fuse_out_header head{};
    head.unique = request;
    head.error = -answer.error;
    head.len = static_cast<std::uint32_t>(sizeof head + answer.bytes.size());
    const iovec parts[2] = {{&head, sizeof head}, {answer.bytes.data(), answer.bytes.size()}};
    (void)!writev(device_, parts, answer.bytes.empty() ? 1 : 2);  // who asked may be gone
  }

  int device_;
  Operations& operations_;
  Clock::duration latency_;
  std::deque<Reply> queue_;  // all have the same latency: the first in is the first due
  std::unique_ptr<char[]> buffer_ = std::make_unique<char[]>(kRequestBytes);
  std::array<unsigned long, 64> counts_{};
  unsigned long round_trips_ = 0;
};

void stop_on_signals() {
  sigset_t blocked;
  sigemptyset(&blocked);
  struct sigaction action {};
  action.sa_handler = [](int) { g_stop = 1; };
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) {
    sigaddset(&blocked, number);
    sigaction(number, &action, nullptr);
  }
  sigprocmask(SIG_BLOCK, &blocked, nullptr);  // delivered while it waits
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 4) {
    std::fprintf(stderr, "usage: latency_fs BEHIND MOUNTPOINT LATENCY_MS [options]\n");
    return 2;
  }
  Settings settings;
  const char* counts = nullptr;
  for (int at = 4; at < count; ++at) {
    if (std::strcmp(arguments[at], "--readdirplus") == 0) settings.readdirplus = true;
    else if (std::strcmp(arguments[at], "--xattrs") == 0) settings.xattrs = true;
    else if (std::strcmp(arguments[at], "--counts") == 0 && at + 1 < count) counts = arguments[++at];
    else {
      std::fprintf(stderr, "latency_fs: no such option: %s\n", arguments[at]);
      return 2;
    }
  }
  const auto latency = std::chrono::duration_cast<Clock::duration>(
      std::chrono::duration<double, std::milli>(std::atof(arguments[3])));

  const rlimit files{1 << 20, 1 << 20};
  setrlimit(RLIMIT_NOFILE, &files);
  prctl(PR_SET_TIMERSLACK, 1UL);
  umask(0);  // the kernel has applied the one of who asks
  stop_on_signals();

  const int root = open(arguments[1], O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) fail(arguments[1]);
  const int device = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (device < 0) fail("/dev/fuse");
  const std::string options = "fd=" + std::to_string(device) +
                              ",rootmode=40755,user_id=0,group_id=0,allow_other";
  if (mount("latency_fs", arguments[2], "fuse.latency_fs", 0, options.c_str()) != 0)
    fail(std::string("mount ") + arguments[2]);

  std::puts("ready");
  std::fclose(stdout);  // who reads it to its end must not wait for us

  Operations operations(root, settings);
  Server server(device, operations, latency);
  server.run();
  if (g_stop != 0) umount2(arguments[2], MNT_DETACH);
  if (counts != nullptr) server.write_counts(counts);
  std::fflush(nullptr);
  _exit(0);  // nodes need no tidying
}
