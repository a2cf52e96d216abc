#include "compress.hpp"

#include <new>
#include <stdexcept>

#ifdef MADANG_ZLIB
#include <zlib.h>
#endif
#ifdef MADANG_ZSTD
#include <zstd.h>
#endif

namespace madang::files {
namespace {

#ifdef MADANG_ZLIB
class GzipCompressor final : public Compressor {
 public:
  explicit GzipCompressor(int level) {
    constexpr int kGzip = 16, kWindowBits = 15, kMemoryLevel = 8;
    if (deflateInit2(&stream_, level ? level : Z_DEFAULT_COMPRESSION, Z_DEFLATED,
                     kWindowBits + kGzip, kMemoryLevel, Z_DEFAULT_STRATEGY) != Z_OK) {
      throw std::bad_alloc();
    }
  }
  ~GzipCompressor() override { deflateEnd(&stream_); }

  void compress(std::string_view block, std::string& out) override {
    deflateReset(&stream_);
    out.resize(deflateBound(&stream_, block.size()));
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(block.data()));
    stream_.avail_in = static_cast<uInt>(block.size());
    stream_.next_out = reinterpret_cast<Bytef*>(out.data());
    stream_.avail_out = static_cast<uInt>(out.size());
    if (deflate(&stream_, Z_FINISH) != Z_STREAM_END) throw std::logic_error("deflateBound is too small");
    out.resize(out.size() - stream_.avail_out);
  }

 private:
  z_stream stream_{};
};
#endif

#ifdef MADANG_ZSTD
class ZstdCompressor final : public Compressor {
 public:
  explicit ZstdCompressor(int level) : context_(ZSTD_createCCtx()) {
    if (!context_) throw std::bad_alloc();
    ZSTD_CCtx_setParameter(context_, ZSTD_c_compressionLevel, level ? level : ZSTD_CLEVEL_DEFAULT);
    ZSTD_CCtx_setParameter(context_, ZSTD_c_checksumFlag, 1);
  }
  ~ZstdCompressor() override { ZSTD_freeCCtx(context_); }

  void compress(std::string_view block, std::string& out) override {
    out.resize(ZSTD_compressBound(block.size()));
    const std::size_t length =
        ZSTD_compress2(context_, out.data(), out.size(), block.data(), block.size());
    if (ZSTD_isError(length)) throw std::bad_alloc();
    out.resize(length);
  }

 private:
  ZSTD_CCtx* context_;
};
#endif

bool ends_with(std::string_view text, std::string_view end) {
  return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

}  // namespace

std::string why_not([[maybe_unused]] Compression compression) {
#ifndef MADANG_ZLIB
  if (compression == Compression::gzip) {
    return "built without gzip: install zlib1g-dev and build madang-native again";
  }
#endif
#ifndef MADANG_ZSTD
  if (compression == Compression::zstd) {
    return "built without zstd: install libzstd-dev and build madang-native again";
  }
#endif
  return "";
}

Compression compression_of_name(std::string_view name) {
  for (const char* end : {".tar.gz", ".tgz", ".taz"}) {
    if (ends_with(name, end)) return Compression::gzip;
  }
  for (const char* end : {".tar.zst", ".tzst"}) {
    if (ends_with(name, end)) return Compression::zstd;
  }
  return Compression::none;
}

std::unique_ptr<Compressor> make_compressor(Compression compression, [[maybe_unused]] int level) {
  if (const std::string reason = why_not(compression); !reason.empty()) throw std::invalid_argument(reason);
#ifdef MADANG_ZLIB
  if (compression == Compression::gzip) return std::make_unique<GzipCompressor>(level);
#endif
#ifdef MADANG_ZSTD
  if (compression == Compression::zstd) return std::make_unique<ZstdCompressor>(level);
#endif
  return nullptr;
}

}  // namespace madang::files
