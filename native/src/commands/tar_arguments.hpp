// The command line of madang-tar.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../files/compress.hpp"
#include "program.hpp"

namespace madang::commands {

enum class TarMode { none, create, list, extract };

struct TarName {
  std::string path;
  std::string directory;  // of -C before it; empty: the current one
};

struct TarArguments {
  TarMode mode = TarMode::none;
  std::string file = "-";
  std::optional<files::Compression> compression;  // empty: by the archive itself, or its name (-a)
  int level = 0;
  std::vector<TarName> names;
  std::string directory;  // the last -C
  int verbose = 0;
  bool absolute_names = false;
  bool acls = false;
  bool dry_run = false;
  bool follow_links = false;
  bool json_lines = false;
  bool keep_old = false;
  bool no_mtime = false;
  bool numeric_owner = false;
  bool one_file_system = false;
  bool recursive = true;
  bool resume = false;
  bool sort_by_name = false;
  bool to_the_letter = false;  // -p
  bool verify = false;
  bool xattrs = false;
  std::optional<bool> same_owner;
  std::optional<std::int64_t> mtime_s;
  std::optional<std::pair<std::string, std::uint64_t>> owner;
  std::optional<std::pair<std::string, std::uint64_t>> group;
  std::vector<std::string> exclude;
  unsigned strip_components = 0;
  std::uint64_t max_bytes = 0;

  std::vector<std::string> member_names() const {
    std::vector<std::string> result;
    for (const TarName& name : names) result.push_back(name.path);
    return result;
  }
};

// Ends the program where it can't be understood.
TarArguments tar_arguments(Program& program, int count, char** words);

extern const char* const kTarHelp;

}  // namespace madang::commands
