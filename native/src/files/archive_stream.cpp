#include "archive_stream.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tar_format.hpp"

namespace madang::files {
namespace {

constexpr std::size_t kBlockBytes = 1024 * 1024;

}  // namespace

void Bytes::add(std::string_view bytes) {
  std::memcpy(end(), bytes.data(), bytes.size());
  size_ += bytes.size();
}

// Processes a block, if nobody has by the time it runs.
class HelpTask final : public Task {
 public:
  explicit HelpTask(ArchiveStream& stream) : stream_(stream) {}
  void run(Lane&) override {
    ArchiveStream::Lock lock(stream_.mutex_);
    stream_.help(lock);
  }

 private:
  ArchiveStream& stream_;
};

ArchiveStream::ArchiveStream(int fd, Compression compression, int level, unsigned num_cores)
    : fd_(fd),
      compression_(compression),
      level_(level),
      most_waiting_(compression == Compression::none ? 1 : num_cores),
      most_in_flight_(2 * num_cores + 2),
      block_(kBlockBytes) {}

ArchiveStream::Turn::Turn(ArchiveStream& stream, Lane& lane) : stream_(stream), lane_(lane) {
  Lock lock(stream_.mutex_);
  while (stream_.turn_taken_) {
    if (!stream_.help(lock)) stream_.turn_free_.wait(lock);
  }
  stream_.turn_taken_ = true;
}

ArchiveStream::Turn::~Turn() {
  Lock lock(stream_.mutex_);
  stream_.turn_taken_ = false;
  stream_.turn_free_.notify_one();
  while (stream_.help(lock)) {
  }
}

void ArchiveStream::Turn::add(std::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t count = bytes.size();
    char* to = room(count);
    std::memcpy(to, bytes.data(), count);
    filled(count);
    bytes.remove_prefix(count);
  }
}

void ArchiveStream::Turn::add_zeros(std::uint64_t count) {
  while (count != 0) {
    std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(count, kBlockBytes));
    char* to = room(part);
    std::memset(to, 0, part);
    filled(part);
    count -= part;
  }
}

char* ArchiveStream::Turn::room(std::size_t& bytes) {
  if (stream_.block_.left() == 0) stream_.hand_over(&lane_);
  bytes = std::min(bytes, stream_.block_.left());
  return stream_.block_.end();
}

void ArchiveStream::Turn::filled(std::size_t bytes) {
  stream_.block_.grow(bytes);
  stream_.total_ += bytes;
}

// The block is full: it waits to be processed, and there is another one. Without a lane nobody else
// is there to process it.
void ArchiveStream::hand_over(Lane* lane) {
  Lock lock(mutex_);
  filled_.emplace_back(next_number_++, std::move(block_));
  if (lane && compression_ != Compression::none) {
    turn_free_.notify_one();  // whoever waits helps
    lock.unlock();
    lane->push(std::make_unique<HelpTask>(*this));
    lock.lock();
  }
  while (filled_.size() > most_waiting_) help(lock);
  while (next_number_ - next_written_ > most_in_flight_) {
    if (!help(lock)) block_written_.wait(lock);
  }
  if (spares_.empty()) {
    lock.unlock();
    block_ = Bytes(kBlockBytes);
  } else {
    block_ = std::move(spares_.back().block);
    spares_.pop_back();
    block_.clear();
  }
  if (error() != 0 && lane) lane->crew().stop();
}

bool ArchiveStream::help(Lock& lock) {
  if (filled_.empty()) return false;
  auto [number, block] = std::move(filled_.front());
  filled_.pop_front();
  Ready ready{std::move(block), {}};
  if (compression_ != Compression::none) {
    std::unique_ptr<Compressor> compressor;
    if (!compressors_.empty()) {
      compressor = std::move(compressors_.back());
      compressors_.pop_back();
    }
    lock.unlock();
    if (!compressor) compressor = make_compressor(compression_, level_);
    compressor->compress(ready.block.view(), ready.compressed);
    lock.lock();
    compressors_.push_back(std::move(compressor));
  }
  ready_.emplace(number, std::move(ready));
  if (!writing_) write_ready(lock);
  return true;
}

void ArchiveStream::write_ready(Lock& lock) {
  writing_ = true;
  for (auto next = ready_.find(next_written_); next != ready_.end(); next = ready_.find(next_written_)) {
    Ready ready = std::move(next->second);
    ready_.erase(next);
    lock.unlock();
    write(compression_ == Compression::none ? ready.block.view() : std::string_view(ready.compressed));
    lock.lock();
    ++next_written_;
    spares_.push_back(std::move(ready));
    block_written_.notify_all();
  }
  writing_ = false;
}

void ArchiveStream::write(std::string_view bytes) {
  while (!bytes.empty() && error() == 0) {
    const ssize_t length = ::write(fd_, bytes.data(), bytes.size());
    if (length < 0) {
      if (errno != EINTR) error_.store(errno, std::memory_order_relaxed);
      continue;
    }
    written_ += static_cast<std::uint64_t>(length);
    bytes.remove_prefix(static_cast<std::size_t>(length));
  }
}

int ArchiveStream::finish() {
  const std::uint64_t end = total_ + 2 * tar::kBlock;
  std::uint64_t zeros = (end + tar::kRecord - 1) / tar::kRecord * tar::kRecord - total_;
  while (zeros != 0) {
    if (block_.left() == 0) hand_over(nullptr);
    const std::size_t part = static_cast<std::size_t>(std::min<std::uint64_t>(zeros, block_.left()));
    std::memset(block_.end(), 0, part);
    block_.grow(part);
    total_ += part;
    zeros -= part;
  }
  Lock lock(mutex_);
  filled_.emplace_back(next_number_++, std::move(block_));
  while (help(lock)) {
  }
  return error();
}

}  // namespace madang::files
