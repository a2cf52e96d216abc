// Checksums of contents: XXH3 (64 bits, fast) and SHA-256 (nobody can make another file with it).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace madang::files {

enum class Checksum { none, xxh3, sha256 };

// Of what is added, piece after piece.
class Hasher {
 public:
  virtual ~Hasher() = default;
  virtual void add(const void* bytes, std::size_t size) = 0;
  virtual std::string hex() = 0;  // once, at the end

  static std::unique_ptr<Hasher> make(Checksum kind);
};

// XXH3 with seed 0.
class Xxh3 final : public Hasher {
 public:
  Xxh3();
  void add(const void* bytes, std::size_t size) override;
  std::string hex() override;
  std::uint64_t value();

 private:
  static constexpr std::size_t kLanes = 8;
  static constexpr std::size_t kStripe = 64;
  static constexpr std::size_t kBufferSize = 256;

  void consume(const unsigned char* stripes, std::size_t count);
  void consume_into(std::uint64_t* lanes, std::size_t& stripes_done, const unsigned char* stripes,
                    std::size_t count) const;

  std::uint64_t lanes_[kLanes];
  std::size_t stripes_done_ = 0;  // in this block
  std::uint64_t total_ = 0;
  std::size_t buffered_ = 0;
  unsigned char buffer_[kBufferSize];
};

std::uint64_t xxh3(std::string_view bytes);

class Sha256 final : public Hasher {
 public:
  void add(const void* bytes, std::size_t size) override;
  std::string hex() override;

 private:
  void consume(const unsigned char* block);

  std::array<std::uint32_t, 8> state_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::uint64_t total_ = 0;
  std::size_t buffered_ = 0;
  unsigned char buffer_[64];
};

}  // namespace madang::files
