// Compressing blocks of a stream, each by itself: gzip members and zstd frames can be put one after
// the other, and any decompressor reads them as one. So as many threads as there are compress.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace madang::files {

enum class Compression { none, gzip, zstd };

// Empty where this build can; else a sentence that says what to do.
std::string why_not(Compression compression);

// The one that a file of that name has: .tar.gz, .tgz, .tar.zst, .tzst, otherwise none.
Compression compression_of_name(std::string_view name);

class Compressor {
 public:
  virtual ~Compressor() = default;
  // Replaces `out` by `block`, compressed. Throws std::bad_alloc where memory is short.
  virtual void compress(std::string_view block, std::string& out) = 0;
};

// `level` 0: the ordinary one.
std::unique_ptr<Compressor> make_compressor(Compression compression, int level);

}  // namespace madang::files
