#include <algorithm>
#include <cstring>
#include <new>

#include "byte_source.hpp"
#include "compress.hpp"

#ifdef MADANG_ZLIB
#include <zlib.h>
#endif
#ifdef MADANG_ZSTD
#include <zstd.h>
#endif

namespace madang::files {
namespace {

constexpr std::size_t kInput = 128 * 1024;

#ifdef MADANG_ZLIB
class Inflating final : public ByteSource {
 public:
  enum Kind { gzip, raw };

  Inflating(std::unique_ptr<ByteSource> compressed, Kind kind)
      : compressed_(std::move(compressed)), kind_(kind), input_(kind == gzip ? kInput : 32 * 1024) {
    if (inflateInit2(&stream_, kind == gzip ? 16 + 15 : -15) != Z_OK) throw std::bad_alloc();
  }
  ~Inflating() override { inflateEnd(&stream_); }

  std::size_t read(char* to, std::size_t bytes) override {
    bytes = std::min<std::size_t>(bytes, 1u << 30);
    stream_.next_out = reinterpret_cast<Bytef*>(to);
    stream_.avail_out = static_cast<uInt>(bytes);
    while (!ended_ && stream_.avail_out == bytes) {
      if (stream_.avail_in == 0 && !fill()) throw ArchiveError("Unexpected EOF in the compressed data");
      const int result = inflate(&stream_, Z_NO_FLUSH);
      if (result == Z_STREAM_END) {
        next_member();
      } else if (result == Z_DATA_ERROR || result == Z_NEED_DICT) {
        throw ArchiveError(std::string("the compressed data is damaged") +
                           (stream_.msg ? std::string(": ") + stream_.msg : std::string()));
      } else if (result == Z_MEM_ERROR) {
        throw std::bad_alloc();
      }
    }
    return bytes - stream_.avail_out;
  }

 private:
  bool fill() {
    stream_.avail_in = static_cast<uInt>(compressed_->read(input_.data(), input_.size()));
    stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
    return stream_.avail_in != 0;
  }

  // What follows a member is another one, or padding that means nothing (as gzip has it).
  void next_member() {
    ended_ = true;
    if (kind_ == raw || (stream_.avail_in == 0 && !fill())) return;
    if (*stream_.next_in != 0x1f) return;
    inflateReset(&stream_);
    ended_ = false;
  }

  std::unique_ptr<ByteSource> compressed_;
  const Kind kind_;
  std::vector<char> input_;
  z_stream stream_{};
  bool ended_ = false;
};
#endif

#ifdef MADANG_ZSTD
class Unzstd final : public ByteSource {
 public:
  explicit Unzstd(std::unique_ptr<ByteSource> compressed)
      : compressed_(std::move(compressed)), context_(ZSTD_createDCtx()), input_(kInput) {
    if (!context_) throw std::bad_alloc();
  }
  ~Unzstd() override { ZSTD_freeDCtx(context_); }

  std::size_t read(char* to, std::size_t bytes) override {
    ZSTD_outBuffer out{to, bytes, 0};
    while (out.pos == 0) {
      if (in_.pos == in_.size && !flushing_) {
        in_ = {input_.data(), compressed_->read(input_.data(), input_.size()), 0};
        if (in_.size == 0) {
          if (within_frame_) throw ArchiveError("Unexpected EOF in the compressed data");
          return 0;
        }
      }
      const std::size_t result = ZSTD_decompressStream(context_, &out, &in_);
      if (ZSTD_isError(result)) {
        throw ArchiveError(std::string("the compressed data is damaged: ") + ZSTD_getErrorName(result));
      }
      within_frame_ = result != 0;
      flushing_ = within_frame_ && out.pos == out.size;  // there may be more without more input
      if (flushing_ && out.size == 0) break;
    }
    return out.pos;
  }

 private:
  std::unique_ptr<ByteSource> compressed_;
  ZSTD_DCtx* context_;
  std::vector<char> input_;
  ZSTD_inBuffer in_{nullptr, 0, 0};
  bool within_frame_ = false;
  bool flushing_ = false;
};
#endif

[[noreturn, maybe_unused]] void throw_missing(Compression compression) { throw ArchiveError(why_not(compression)); }

}  // namespace

std::unique_ptr<ByteSource> gunzip([[maybe_unused]] std::unique_ptr<ByteSource> compressed) {
#ifdef MADANG_ZLIB
  return std::make_unique<Inflating>(std::move(compressed), Inflating::gzip);
#else
  throw_missing(Compression::gzip);
#endif
}

std::unique_ptr<ByteSource> inflate_raw([[maybe_unused]] std::unique_ptr<ByteSource> compressed) {
#ifdef MADANG_ZLIB
  return std::make_unique<Inflating>(std::move(compressed), Inflating::raw);
#else
  throw_missing(Compression::gzip);
#endif
}

std::unique_ptr<ByteSource> unzstd([[maybe_unused]] std::unique_ptr<ByteSource> compressed) {
#ifdef MADANG_ZSTD
  return std::make_unique<Unzstd>(std::move(compressed));
#else
  throw_missing(Compression::zstd);
#endif
}

}  // namespace madang::files
