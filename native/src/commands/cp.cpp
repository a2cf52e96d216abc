// madang-cp: copies files and trees, as cp does, with many requests at a time.

#include <dirent.h>

#include <cstdio>
#include <cstring>

#include "../files/copy.hpp"
#include "copying.hpp"
#include "program.hpp"

using namespace madang;
using namespace madang::commands;

namespace {

constexpr const char* kHelp =
    "Usage: madang-cp [OPTION]... [-T] SOURCE DEST\n"
    "  or:  madang-cp [OPTION]... SOURCE... DIRECTORY\n"
    "  or:  madang-cp [OPTION]... -t DIRECTORY SOURCE...\n"
    "Copy SOURCE to DEST, or several to DIRECTORY. Nothing is under its final name that\n"
    "is not whole. Nothing is asked: -i is refused.\n"
    "\n"
    "  -a, --archive           same as -dR --preserve=all\n"
    "  -d                      same as --no-dereference --preserve=links\n"
    "  -f, --force             accepted; what is there is replaced in any case\n"
    "  -H                      follow symbolic links that are named\n"
    "  -l, --link              make hard links instead of copies\n"
    "  -L, --dereference       follow symbolic links to files, also within trees\n"
    "  -n, --no-clobber        leave what is there\n"
    "  -P, --no-dereference    never follow symbolic links in SOURCE\n"
    "  -p                      same as --preserve=mode,ownership,timestamps\n"
    "      --preserve[=LIST]   mode, ownership, timestamps, links, xattr, all\n"
    "      --no-preserve=LIST  not these\n"
    "  -R, -r, --recursive     directories with all that is in them\n"
    "      --reflink[=WHEN]    share blocks: auto (default), always, never\n"
    "      --sparse=WHEN       holes: auto (default), always, never\n"
    "  -t, --target-directory=DIRECTORY  copy all into it\n"
    "  -T, --no-target-directory         DEST is never a directory to copy into\n"
    "  -u, --update            leave what is not older than its source\n"
    "  -v, --verbose           say what is copied\n"
    "  -x, --one-file-system   leave mount points empty\n"
    "      --exclude GLOB      leave out what matches\n"
    "      --resume            take up what a copy that was killed has left; sets times,\n"
    "                          so that what is whole is known\n"
    "      --verify[=SUM]      read each copy back and compare its checksum: xxh3 (default)\n"
    "                          or sha256\n"
    "      --fsync             to disk before it gets its name\n"
    "      --dry-run           only say what would be copied\n"
    "      --json-lines        one JSON object a line for each thing copied or left\n";

enum Option {
  kPreserve = kOwnOptions, kNoPreserve, kReflink, kSparse, kExclude, kResume, kVerify, kFsync, kDryRun, kJsonLines,
};

constexpr option kOptions[] = {
    {"archive", no_argument, nullptr, 'a'},
    {"force", no_argument, nullptr, 'f'},
    {"interactive", no_argument, nullptr, 'i'},
    {"link", no_argument, nullptr, 'l'},
    {"dereference", no_argument, nullptr, 'L'},
    {"no-clobber", no_argument, nullptr, 'n'},
    {"no-dereference", no_argument, nullptr, 'P'},
    {"preserve", optional_argument, nullptr, kPreserve},
    {"no-preserve", required_argument, nullptr, kNoPreserve},
    {"recursive", no_argument, nullptr, 'r'},
    {"reflink", optional_argument, nullptr, kReflink},
    {"sparse", required_argument, nullptr, kSparse},
    {"target-directory", required_argument, nullptr, 't'},
    {"no-target-directory", no_argument, nullptr, 'T'},
    {"update", no_argument, nullptr, 'u'},
    {"verbose", no_argument, nullptr, 'v'},
    {"one-file-system", no_argument, nullptr, 'x'},
    {"exclude", required_argument, nullptr, kExclude},
    {"resume", no_argument, nullptr, kResume},
    {"verify", optional_argument, nullptr, kVerify},
    {"fsync", no_argument, nullptr, kFsync},
    {"dry-run", no_argument, nullptr, kDryRun},
    {"json-lines", no_argument, nullptr, kJsonLines},
    MADANG_COMMON_OPTIONS,
    {nullptr, 0, nullptr, 0},
};

// Sets what a comma-separated list of attributes names.
void set_preserve(const Program& program, files::Preserve& preserve, const char* list, bool value) {
  for (std::string_view rest = list; !rest.empty();) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    const std::string_view name = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const bool all = name == "all";
    if (name == "mode" || all) preserve.mode = value;
    if (name == "ownership" || all) preserve.ownership = value;
    if (name == "timestamps" || all) preserve.timestamps = value;
    if (name == "links" || all) preserve.links = value;
    if (name == "xattr" || all) preserve.xattrs = value;
    if (name == "xattr") preserve.xattrs_required = value;
    if (!all && name != "mode" && name != "ownership" && name != "timestamps" && name != "links" &&
        name != "xattr" && name != "context") {
      program.misused("invalid argument " + quoted(name) + " for '--preserve'; there are mode, ownership, "
                      "timestamps, links, xattr and all");
    }
  }
}

// One of three words, of which some beginning will do.
template <typename When>
When when(const Program& program, const char* option, const char* word) {
  if (std::strcmp(word, "auto") == 0) return When::automatic;
  if (std::strcmp(word, "always") == 0) return When::always;
  if (std::strcmp(word, "never") == 0) return When::never;
  program.misused(std::string("invalid argument ") + quoted(word) + " for '" + option +
                  "'; there are auto, always and never");
}

struct CommandLine {
  files::CopyOptions options;
  files::CopyTarget target;
  std::vector<std::string> sources;
  bool verbose = false;
  bool json_lines = false;
};

CommandLine parse(Program& program, int count, char** words) {
  CommandLine line;
  files::CopyOptions& options = line.options;
  int follow = -1;  // not said
  int letter;
  while ((letter = getopt_long(count, words, "abdfHilLnPprRst:TuvxS:Z", kOptions, nullptr)) != -1) {
    switch (letter) {
      case 'a':
        follow = 'P';
        options.recursive = true;
        options.preserve = {true, true, true, true, true, false};
        break;
      case 'd':
        follow = 'P';
        options.preserve.links = true;
        break;
      case 'H': case 'L': case 'P': follow = letter; break;
      case 'f': break;
      case 'i': program.misused("asks nothing, so -i means nothing; -n leaves what is there, --dry-run shows what would be copied");
      case 'l': options.link = true; break;
      case 'n': options.no_clobber = true; break;
      case 'p': set_preserve(program, options.preserve, "mode,ownership,timestamps", true); break;
      case 'r': case 'R': options.recursive = true; break;
      case 't':
        line.target.path = optarg;
        line.target.into_directory = true;
        break;
      case 'T': line.target.no_target_directory = true; break;
      case 'u': options.update = true; break;
      case 'v': line.verbose = true; break;
      case 'x': options.one_file_system = true; break;
      case kPreserve:
        set_preserve(program, options.preserve, optarg ? optarg : "mode,ownership,timestamps", true);
        break;
      case kNoPreserve:
        set_preserve(program, options.preserve, optarg, false);
        options.plain_mode = std::strstr(optarg, "mode") || std::strstr(optarg, "all");
        break;
      case kReflink:
        options.content.reflink = optarg ? when<files::Reflink>(program, "--reflink", optarg) : files::Reflink::always;
        break;
      case kSparse: options.content.sparse = when<files::Sparse>(program, "--sparse", optarg); break;
      case kExclude: options.exclude.emplace_back(optarg); break;
      case kResume: options.resume = true; break;
      case kVerify: options.content.verify = checksum_named(program, optarg); break;
      case kFsync: options.sync = true; break;
      case kDryRun: options.dry_run = true; break;
      case kJsonLines: line.json_lines = true; break;
      case 'b': case 's': case 'S': case 'Z':
        program.misused(std::string("-") + static_cast<char>(letter) + " is not known here; cp has it");
      default: program.take_common(letter, optarg);
    }
  }
  if (follow == -1) follow = options.recursive ? 'P' : 'L';
  options.follow = follow == 'P' ? files::Follow::never : follow == 'H' ? files::Follow::roots : files::Follow::always;
  for (int i = optind; i < count; ++i) line.sources.emplace_back(words[i]);
  if (line.sources.empty()) program.misused("missing file operand");
  if (line.target.into_directory && line.target.no_target_directory) {
    program.misused("cannot combine --target-directory (-t) and --no-target-directory (-T)");
  }
  if (!line.target.into_directory) {
    if (line.sources.size() == 1) program.misused("missing destination file operand after " + quoted(line.sources[0]));
    line.target.path = line.sources.back();
    line.sources.pop_back();
    if (line.target.no_target_directory && line.sources.size() > 1) {
      program.misused("extra operand " + quoted(line.target.path));
    }
  }
  return line;
}

}  // namespace

int main(int count, char** words) {
  Program program("madang-cp", kHelp);
  CommandLine line = parse(program, count, words);
  raise_descriptor_limit();
  CopyOutput output(program, line.options.content.verify, line.options.dry_run);
  output.attach(line.options, line.verbose || line.options.dry_run, line.json_lines);
  files::copy(line.sources, line.target, line.options, program.run());
  output.flush();
  return program.exit_code();
}
