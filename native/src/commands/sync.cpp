// madang-sync: makes one tree equal to another, as rsync -a does, with many requests at a time.

#include "../files/sync.hpp"
#include "copying.hpp"
#include "program.hpp"

using namespace madang;
using namespace madang::commands;

namespace {

constexpr const char* kHelpText =
    "Usage: madang-sync [OPTION]... SOURCE TARGET\n"
    "Make TARGET equal to SOURCE, as rsync -a SOURCE/ TARGET does: what differs in size\n"
    "or time is copied, with permissions, owners and times, each file as a whole or not\n"
    "at all. Run it again after it was killed: it goes on.\n"
    "\n"
    "  -c, --checksum          compare contents, not size and time\n"
    "      --delete            remove what SOURCE has not; refused if SOURCE is empty\n"
    "      --force             also if SOURCE is empty\n"
    "  -H, --hard-links        files that are one stay one\n"
    "  -X, --xattrs            extended attributes too\n"
    "  -x, --one-file-system   leave mount points empty\n"
    "  -n, --dry-run           only say what would be done\n"
    "  -v, --verbose           say what is done\n"
    "      --exclude GLOB      leave what matches as it is, on both sides\n"
    "      --verify[=SUM]      read each copy back and compare its checksum: xxh3 (default)\n"
    "                          or sha256\n"
    "      --fsync             to disk before it gets its name\n"
    "      --json-lines        one JSON object a line for each thing done or left\n";

enum Option { kDelete = kOwnOptions, kForce, kExclude, kVerify, kFsync, kJsonLines };

constexpr option kOptions[] = {
    {"archive", no_argument, nullptr, 'a'},
    {"checksum", no_argument, nullptr, 'c'},
    {"delete", no_argument, nullptr, kDelete},
    {"force", no_argument, nullptr, kForce},
    {"hard-links", no_argument, nullptr, 'H'},
    {"xattrs", no_argument, nullptr, 'X'},
    {"one-file-system", no_argument, nullptr, 'x'},
    {"dry-run", no_argument, nullptr, 'n'},
    {"verbose", no_argument, nullptr, 'v'},
    {"exclude", required_argument, nullptr, kExclude},
    {"verify", optional_argument, nullptr, kVerify},
    {"fsync", no_argument, nullptr, kFsync},
    {"json-lines", no_argument, nullptr, kJsonLines},
    MADANG_COMMON_OPTIONS,
    {nullptr, 0, nullptr, 0},
};

}  // namespace

int main(int count, char** words) {
  Program program("madang-sync", kHelpText);
  files::SyncOptions options;
  bool verbose = false, json_lines = false;
  int letter;
  while ((letter = getopt_long(count, words, "acHXxnv", kOptions, nullptr)) != -1) {
    switch (letter) {
      case 'a': break;  // it always is
      case 'c': options.compare_content = true; break;
      case kDelete: options.remove_extra = true; break;
      case kForce: options.force = true; break;
      case 'H': options.keep_links = true; break;
      case 'X': options.keep_xattrs = true; break;
      case 'x': options.one_file_system = true; break;
      case 'n': options.dry_run = true; break;
      case 'v': verbose = true; break;
      case kExclude: options.exclude.emplace_back(optarg); break;
      case kVerify: options.content.verify = checksum_named(program, optarg); break;
      case kFsync: options.sync = true; break;
      case kJsonLines: json_lines = true; break;
      default: program.take_common(letter, optarg);
    }
  }
  if (count - optind != 2) program.misused("takes a SOURCE and a TARGET");
  raise_descriptor_limit();
  CopyOutput output(program, options.content.verify, options.dry_run);
  output.attach(options, verbose || options.dry_run, json_lines);
  files::sync(words[optind], words[optind + 1], options, program.run());
  output.flush();
  return program.exit_code();
}
