// madang-rm: removes files and trees, as rm does, with many requests at a time.

#include <sys/stat.h>

#include <cstring>

#include "../files/remove.hpp"
#include "program.hpp"

using namespace madang;
using namespace madang::commands;

namespace {

constexpr const char* kHelp =
    "Usage: madang-rm [OPTION]... [FILE]...\n"
    "Remove files and, with -r, directories with all that is in them. Symbolic links\n"
    "are removed, never followed. Nothing is asked: -i is refused.\n"
    "\n"
    "  -r, -R, --recursive     directories too\n"
    "  -f, --force             what does not exist is no error\n"
    "  -d, --dir               empty directories too\n"
    "  -v, --verbose           say what was removed\n"
    "      --one-file-system   leave mount points as they are\n"
    "      --exclude GLOB      leave what matches, and the directories it is in\n"
    "      --no-preserve-root  let '/' be removed\n"
    "      --dry-run           only say what would be removed\n"
    "      --json-lines        one JSON object a line for each thing removed\n";

enum Option { kOneFileSystem = kOwnOptions, kExclude, kNoPreserveRoot, kPreserveRoot, kDryRun, kJsonLines };

constexpr option kOptions[] = {
    {"recursive", no_argument, nullptr, 'r'},
    {"force", no_argument, nullptr, 'f'},
    {"dir", no_argument, nullptr, 'd'},
    {"verbose", no_argument, nullptr, 'v'},
    {"one-file-system", no_argument, nullptr, kOneFileSystem},
    {"exclude", required_argument, nullptr, kExclude},
    {"no-preserve-root", no_argument, nullptr, kNoPreserveRoot},
    {"preserve-root", no_argument, nullptr, kPreserveRoot},
    {"dry-run", no_argument, nullptr, kDryRun},
    {"json-lines", no_argument, nullptr, kJsonLines},
    MADANG_COMMON_OPTIONS,
    {nullptr, 0, nullptr, 0},
};

std::string_view last_name(std::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos || path == "/" ? path : path.substr(slash + 1);
}

// "link/" names what the link points to: to remove that by accident is what nobody wants.
bool is_link_with_slash(const std::string& path) {
  if (path.size() < 2 || path.back() != '/') return false;
  std::string without = path;
  while (without.size() > 1 && without.back() == '/') without.pop_back();
  struct stat status;
  return lstat(without.c_str(), &status) == 0 && S_ISLNK(status.st_mode);
}

}  // namespace

int main(int count, char** words) {
  Program program("madang-rm", kHelp);
  files::RemoveOptions options;
  bool verbose = false, json_lines = false, preserve_root = true;
  int letter;
  while ((letter = getopt_long(count, words, "rRfdviI", kOptions, nullptr)) != -1) {
    switch (letter) {
      case 'r':
      case 'R': options.recursive = true; break;
      case 'f': options.missing_is_fine = true; break;
      case 'd': options.empty_directories = true; break;
      case 'v': verbose = true; break;
      case 'i':
      case 'I': program.misused("asks nothing, so -i means nothing; use rm -i, or --dry-run to see first");
      case kOneFileSystem: options.one_file_system = true; break;
      case kExclude: options.exclude.emplace_back(optarg); break;
      case kNoPreserveRoot: preserve_root = false; break;
      case kPreserveRoot: preserve_root = true; break;
      case kDryRun: options.dry_run = true; break;
      case kJsonLines: json_lines = true; break;
      default: program.take_common(letter, optarg);
    }
  }
  if (optind == count && !options.missing_is_fine) program.misused("missing operand");
  raise_descriptor_limit();

  std::vector<std::string> paths;
  for (std::string& path : program.roots(words + optind, words + count, options.recursive && preserve_root)) {
    const std::string_view name = last_name(path);
    if (options.recursive && (name == "." || name == "..")) {
      program.complain("refusing to remove '.' or '..' directory: skipping " + quoted(path));
    } else if (is_link_with_slash(path)) {
      program.complain({"cannot remove", path, ENOTDIR});
    } else {
      paths.push_back(std::move(path));
    }
  }

  Output output(files::Crew::kMaxLanes);
  if (verbose || json_lines || options.dry_run) {
    options.removed = [&](files::Lane& lane, const std::string& path, bool is_directory) {
      std::string& text = output.of(lane);
      if (json_lines) {
        text += "{\"path\": " + json_string(path) + ", \"type\": " +
                (is_directory ? "\"directory\"" : "\"file\"") + "}\n";
      } else {
        text += options.dry_run ? "would remove " : "removed ";
        text += (is_directory ? "directory " : "") + quoted(path) + "\n";
      }
      output.flush_when_full(lane);
    };
  }
  files::remove(paths, options, program.run());
  output.flush();
  return program.exit_code();
}
