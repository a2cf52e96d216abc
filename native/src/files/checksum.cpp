// XXH3 as its specification has it (https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md),
// written anew; SHA-256 as FIPS 180-4 has it.
#include "checksum.hpp"

#include <algorithm>
#include <cstring>

namespace madang::files {
namespace {

using Word = std::uint64_t;

constexpr Word kPrime32_1 = 0x9E3779B1, kPrime32_2 = 0x85EBCA77, kPrime32_3 = 0xC2B2AE3D;
constexpr Word kPrime64_1 = 0x9E3779B185EBCA87, kPrime64_2 = 0xC2B2AE3D27D4EB4F;
constexpr Word kPrime64_3 = 0x165667B19E3779F9, kPrime64_4 = 0x85EBCA77C2B2AE63;
constexpr Word kPrime64_5 = 0x27D4EB2F165667C5;
constexpr Word kPrimeMx1 = 0x165667919E3779F9, kPrimeMx2 = 0x9FB21C651E98DF25;

constexpr unsigned char kSecret[192] = {
    0xb8, 0xfe, 0x6c, 0x39, 0x23, 0xa4, 0x4b, 0xbe, 0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c,
    0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb, 0x72, 0x40, 0xa4, 0xa4, 0xb7, 0xb3, 0x67, 0x1f,
    0xcb, 0x79, 0xe6, 0x4e, 0xcc, 0xc0, 0xe5, 0x78, 0x82, 0x5a, 0xd0, 0x7d, 0xcc, 0xff, 0x72, 0x21,
    0xb8, 0x08, 0x46, 0x74, 0xf7, 0x43, 0x24, 0x8e, 0xe0, 0x35, 0x90, 0xe6, 0x81, 0x3a, 0x26, 0x4c,
    0x3c, 0x28, 0x52, 0xbb, 0x91, 0xc3, 0x00, 0xcb, 0x88, 0xd0, 0x65, 0x8b, 0x1b, 0x53, 0x2e, 0xa3,
    0x71, 0x64, 0x48, 0x97, 0xa2, 0x0d, 0xf9, 0x4e, 0x38, 0x19, 0xef, 0x46, 0xa9, 0xde, 0xac, 0xd8,
    0xa8, 0xfa, 0x76, 0x3f, 0xe3, 0x9c, 0x34, 0x3f, 0xf9, 0xdc, 0xbb, 0xc7, 0xc7, 0x0b, 0x4f, 0x1d,
    0x8a, 0x51, 0xe0, 0x4b, 0xcd, 0xb4, 0x59, 0x31, 0xc8, 0x9f, 0x7e, 0xc9, 0xd9, 0x78, 0x73, 0x64,
    0xea, 0xc5, 0xac, 0x83, 0x34, 0xd3, 0xeb, 0xc3, 0xc5, 0x81, 0xa0, 0xff, 0xfa, 0x13, 0x63, 0xeb,
    0x17, 0x0d, 0xdd, 0x51, 0xb7, 0xf0, 0xda, 0x49, 0xd3, 0x16, 0x55, 0x26, 0x29, 0xd4, 0x68, 0x9e,
    0x2b, 0x16, 0xbe, 0x58, 0x7d, 0x47, 0xa1, 0xfc, 0x8f, 0xf8, 0xb8, 0xd1, 0x7a, 0xd0, 0x31, 0xce,
    0x45, 0xcb, 0x3a, 0x8f, 0x95, 0x16, 0x04, 0x28, 0xaf, 0xd7, 0xfb, 0xca, 0xbb, 0x4b, 0x40, 0x7e};

constexpr std::size_t kSecretSize = 192;
constexpr std::size_t kStripesInBlock = (kSecretSize - 64) / 8;

Word read64(const unsigned char* at) {
  Word word;
  std::memcpy(&word, at, sizeof word);  // the platforms we build for are little-endian
  return word;
}

Word read32(const unsigned char* at) {
  std::uint32_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

Word rotate(Word word, int bits) { return (word << bits) | (word >> (64 - bits)); }

Word fold(Word left, Word right) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(left) * right;
  return static_cast<Word>(product) ^ static_cast<Word>(product >> 64);
}

Word avalanche(Word hash) {
  hash ^= hash >> 37;
  hash *= kPrimeMx1;
  return hash ^ (hash >> 32);
}

Word avalanche_xxh64(Word hash) {
  hash ^= hash >> 33;
  hash *= kPrime64_2;
  hash ^= hash >> 29;
  hash *= kPrime64_3;
  return hash ^ (hash >> 32);
}

Word mix16(const unsigned char* input, std::size_t secret_at) {
  return fold(read64(input) ^ read64(kSecret + secret_at),
              read64(input + 8) ^ read64(kSecret + secret_at + 8));
}

Word hash_up_to_16(const unsigned char* input, std::size_t size) {
  if (size > 8) {
    const Word low = read64(input) ^ read64(kSecret + 24) ^ read64(kSecret + 32);
    const Word high = read64(input + size - 8) ^ read64(kSecret + 40) ^ read64(kSecret + 48);
    return avalanche(size + __builtin_bswap64(low) + high + fold(low, high));
  }
  if (size >= 4) {
    const Word first = read32(input), last = read32(input + size - 4);
    Word hash = (last | (first << 32)) ^ read64(kSecret + 8) ^ read64(kSecret + 16);
    hash ^= rotate(hash, 49) ^ rotate(hash, 24);
    hash *= kPrimeMx2;
    hash ^= (hash >> 35) + size;
    hash *= kPrimeMx2;
    return hash ^ (hash >> 28);
  }
  if (size > 0) {
    const Word combined = (Word{input[0]} << 16) | (Word{input[size >> 1]} << 24) |
                          Word{input[size - 1]} | (Word{size} << 8);
    return avalanche_xxh64(combined ^ read32(kSecret) ^ read32(kSecret + 4));
  }
  return avalanche_xxh64(read64(kSecret + 56) ^ read64(kSecret + 64));
}

Word hash_up_to_240(const unsigned char* input, std::size_t size) {
  Word hash = size * kPrime64_1;
  if (size <= 128) {
    for (std::size_t i = (size - 1) / 32 + 1; i-- > 0;) {
      hash += mix16(input + 16 * i, 32 * i);
      hash += mix16(input + size - 16 * (i + 1), 32 * i + 16);
    }
    return avalanche(hash);
  }
  for (std::size_t i = 0; i < 8; ++i) hash += mix16(input + 16 * i, 16 * i);
  hash = avalanche(hash);
  for (std::size_t i = 8; i < size / 16; ++i) hash += mix16(input + 16 * i, 16 * (i - 8) + 3);
  return avalanche(hash + mix16(input + size - 16, 136 - 17));
}

inline void accumulate(Word* lanes, const unsigned char* input, const unsigned char* secret) {
  for (int i = 0; i < 8; ++i) {
    const Word value = read64(input + 8 * i);
    const Word key = value ^ read64(secret + 8 * i);
    lanes[i ^ 1] += value;
    lanes[i] += (key & 0xFFFFFFFF) * (key >> 32);
  }
}

void scramble(Word* lanes) {
  for (int i = 0; i < 8; ++i) {
    lanes[i] ^= lanes[i] >> 47;
    lanes[i] ^= read64(kSecret + kSecretSize - 64 + 8 * i);
    lanes[i] *= kPrime32_1;
  }
}

std::string to_hex(const unsigned char* bytes, std::size_t size) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = 0; i < size; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

}  // namespace

// -- XXH3 --------------------------------------------------------------------------------------

Xxh3::Xxh3()
    : lanes_{kPrime32_3, kPrime64_1, kPrime64_2, kPrime64_3,
             kPrime64_4, kPrime32_2, kPrime64_5, kPrime32_1} {}

void Xxh3::consume_into(Word* lanes, std::size_t& stripes_done, const unsigned char* stripes,
                        std::size_t count) const {
  for (std::size_t i = 0; i < count; ++i) {
    accumulate(lanes, stripes + kStripe * i, kSecret + 8 * stripes_done);
    if (++stripes_done == kStripesInBlock) {
      scramble(lanes);
      stripes_done = 0;
    }
  }
}

void Xxh3::consume(const unsigned char* stripes, std::size_t count) {
  consume_into(lanes_, stripes_done_, stripes, count);
}

// The last stripe is read again at the end, so that the buffer always keeps something: what is in it
// is consumed only when more comes, and its last bytes stay there.
void Xxh3::add(const void* bytes, std::size_t size) {
  const auto* input = static_cast<const unsigned char*>(bytes);
  total_ += size;
  if (size <= kBufferSize - buffered_) {
    std::memcpy(buffer_ + buffered_, input, size);
    buffered_ += size;
    return;
  }
  if (buffered_ != 0) {
    const std::size_t missing = kBufferSize - buffered_;
    std::memcpy(buffer_ + buffered_, input, missing);
    input += missing;
    size -= missing;
    consume(buffer_, kBufferSize / kStripe);
  }
  if (size > kBufferSize) {
    const std::size_t count = (size - 1) / kStripe;
    consume(input, count);
    input += count * kStripe;
    size -= count * kStripe;
    std::memcpy(buffer_ + kBufferSize - kStripe, input - kStripe, kStripe);
  }
  std::memcpy(buffer_, input, size);
  buffered_ = size;
}

std::uint64_t Xxh3::value() {
  if (total_ <= 16) return hash_up_to_16(buffer_, static_cast<std::size_t>(total_));
  if (total_ <= 240) return hash_up_to_240(buffer_, static_cast<std::size_t>(total_));
  Word lanes[kLanes];
  std::memcpy(lanes, lanes_, sizeof lanes);
  std::size_t stripes_done = stripes_done_;
  unsigned char last[kStripe];
  if (buffered_ >= kStripe) {
    consume_into(lanes, stripes_done, buffer_, (buffered_ - 1) / kStripe);
    std::memcpy(last, buffer_ + buffered_ - kStripe, kStripe);
  } else {
    const std::size_t before = kStripe - buffered_;
    std::memcpy(last, buffer_ + kBufferSize - before, before);
    std::memcpy(last + before, buffer_, buffered_);
  }
  accumulate(lanes, last, kSecret + kSecretSize - 64 - 7);
  Word hash = total_ * kPrime64_1;
  for (int i = 0; i < 4; ++i) {
    hash += fold(lanes[2 * i] ^ read64(kSecret + 11 + 16 * i),
                 lanes[2 * i + 1] ^ read64(kSecret + 11 + 16 * i + 8));
  }
  return avalanche(hash);
}

std::string Xxh3::hex() {
  const Word hash = value();
  unsigned char bytes[8];
  for (int i = 0; i < 8; ++i) bytes[i] = static_cast<unsigned char>(hash >> (56 - 8 * i));
  return to_hex(bytes, sizeof bytes);
}

std::uint64_t xxh3(std::string_view bytes) {
  Xxh3 hash;
  hash.add(bytes.data(), bytes.size());
  return hash.value();
}

// -- SHA-256 -----------------------------------------------------------------------------------

void Sha256::consume(const unsigned char* block) {
  static constexpr std::uint32_t kRound[64] = {
      0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
      0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
      0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
      0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
      0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
      0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
      0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
      0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
  const auto rotate32 = [](std::uint32_t word, int bits) { return (word >> bits) | (word << (32 - bits)); };
  std::uint32_t words[64];
  for (int i = 0; i < 16; ++i) {
    std::uint32_t word;
    std::memcpy(&word, block + 4 * i, 4);
    words[i] = __builtin_bswap32(word);
  }
  for (int i = 16; i < 64; ++i) {
    const std::uint32_t a = words[i - 15], b = words[i - 2];
    words[i] = words[i - 16] + (rotate32(a, 7) ^ rotate32(a, 18) ^ (a >> 3)) + words[i - 7] +
               (rotate32(b, 17) ^ rotate32(b, 19) ^ (b >> 10));
  }
  auto [a, b, c, d, e, f, g, h] = state_;
  for (int i = 0; i < 64; ++i) {
    const std::uint32_t first = h + (rotate32(e, 6) ^ rotate32(e, 11) ^ rotate32(e, 25)) +
                                ((e & f) ^ (~e & g)) + kRound[i] + words[i];
    const std::uint32_t second =
        (rotate32(a, 2) ^ rotate32(a, 13) ^ rotate32(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
    h = g, g = f, f = e, e = d + first, d = c, c = b, b = a, a = first + second;
  }
  const std::uint32_t mixed[8] = {a, b, c, d, e, f, g, h};
  for (int i = 0; i < 8; ++i) state_[i] += mixed[i];
}

void Sha256::add(const void* bytes, std::size_t size) {
  const auto* input = static_cast<const unsigned char*>(bytes);
  total_ += size;
  if (buffered_ != 0) {
    const std::size_t taken = std::min(size, sizeof buffer_ - buffered_);
    std::memcpy(buffer_ + buffered_, input, taken);
    buffered_ += taken;
    input += taken;
    size -= taken;
    if (buffered_ < sizeof buffer_) return;
    consume(buffer_);
    buffered_ = 0;
  }
  for (; size >= sizeof buffer_; input += sizeof buffer_, size -= sizeof buffer_) consume(input);
  std::memcpy(buffer_, input, size);
  buffered_ = size;
}

std::string Sha256::hex() {
  const std::uint64_t bits = total_ * 8;
  const unsigned char end = 0x80, zero = 0;
  add(&end, 1);
  while (buffered_ != 56) add(&zero, 1);
  unsigned char length[8];
  for (int i = 0; i < 8; ++i) length[i] = static_cast<unsigned char>(bits >> (56 - 8 * i));
  add(length, sizeof length);
  unsigned char bytes[32];
  for (int i = 0; i < 32; ++i) bytes[i] = static_cast<unsigned char>(state_[i / 4] >> (24 - 8 * (i % 4)));
  return to_hex(bytes, sizeof bytes);
}

// ----------------------------------------------------------------------------------------------

std::unique_ptr<Hasher> Hasher::make(Checksum kind) {
  if (kind == Checksum::xxh3) return std::make_unique<Xxh3>();
  if (kind == Checksum::sha256) return std::make_unique<Sha256>();
  return nullptr;
}

}  // namespace madang::files
