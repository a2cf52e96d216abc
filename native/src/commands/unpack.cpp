// madang-unpack: extracts zip and tar archives, many at once, never to anywhere but its target.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "../files/extract.hpp"
#include "archives.hpp"

using namespace madang;
using namespace madang::commands;

namespace {

constexpr const char* kHelp =
    "Usage: madang-unpack [OPTION]... ARCHIVE...\n"
    "Extract zip, tar, tar.gz and tar.zst archives, side by side and with many requests\n"
    "at a time. Nothing is written outside the target: members whose names lead there, or\n"
    "through a symbolic link, are refused. Each file has its name only once it is whole.\n"
    "What an archive is, is seen from what is in it. '-' is standard input.\n"
    "\n"
    "  -d, -C, --directory DIR  extract to DIR (made if missing), instead of here\n"
    "      --member NAME        only this, and what is beneath it; may be given again\n"
    "      --exclude GLOB       leave out what matches\n"
    "      --strip-components N  without the first N parts of names\n"
    "  -k, --keep-old-files     a file that is there is an error, instead of replaced\n"
    "      --resume             leave files that are there with the same size and time\n"
    "      --verify             read each file once more and compare; with --dry-run:\n"
    "                           read the archives and check what has a checksum\n"
    "      --max-bytes N        extract no more than N bytes\n"
    "  -p, --preserve-permissions  modes as in the archive, regardless of the umask\n"
    "      --same-owner         owners as in the archive\n"
    "      --xattrs, --acls     with extended attributes, with ACLs\n"
    "  -m, --touch              leave the times as they come\n"
    "  -v, --verbose            say the names; twice: with details\n"
    "      --dry-run            write nothing, say what would be extracted\n"
    "      --json-lines         one JSON object a line for each member\n";

enum Option {
  kAcls = kOwnOptions, kDryRun, kExclude, kJsonLines, kMaxBytes, kMember, kResume, kSameOwner, kStrip, kVerify, kXattrs,
};

constexpr option kOptions[] = {
    {"acls", no_argument, nullptr, kAcls},
    {"directory", required_argument, nullptr, 'd'},
    {"dry-run", no_argument, nullptr, kDryRun},
    {"exclude", required_argument, nullptr, kExclude},
    {"json-lines", no_argument, nullptr, kJsonLines},
    {"keep-old-files", no_argument, nullptr, 'k'},
    {"max-bytes", required_argument, nullptr, kMaxBytes},
    {"member", required_argument, nullptr, kMember},
    {"preserve-permissions", no_argument, nullptr, 'p'},
    {"resume", no_argument, nullptr, kResume},
    {"same-owner", no_argument, nullptr, kSameOwner},
    {"strip-components", required_argument, nullptr, kStrip},
    {"touch", no_argument, nullptr, 'm'},
    {"verbose", no_argument, nullptr, 'v'},
    {"verify", no_argument, nullptr, kVerify},
    {"xattrs", no_argument, nullptr, kXattrs},
    MADANG_COMMON_OPTIONS,
    {nullptr, 0, nullptr, 0},
};

}  // namespace

int main(int count, char** words) {
  Program program("madang-unpack", kHelp, kSeriousTrouble);
  files::ExtractOptions options;
  bool json_lines = false;
  int verbose = 0;
  int letter;
  while ((letter = getopt_long(count, words, "d:C:kpmv", kOptions, nullptr)) != -1) {
    switch (letter) {
      case 'd':
      case 'C': options.directory = optarg; break;
      case 'k': options.keep_old = true; break;
      case 'p': options.to_the_letter = true; break;
      case 'm': options.set_mtime = false; break;
      case 'v': ++verbose; break;
      case kAcls: options.acls = true; break;
      case kXattrs: options.xattrs = true; break;
      case kDryRun: options.dry_run = true; break;
      case kExclude: options.exclude.emplace_back(optarg); break;
      case kJsonLines: json_lines = true; break;
      case kMaxBytes: options.max_bytes = program.number("--max-bytes", optarg, 1); break;
      case kMember: options.members.emplace_back(optarg); break;
      case kResume: options.resume = true; break;
      case kSameOwner: options.same_owner = true; break;
      case kStrip: options.strip_components = static_cast<unsigned>(program.number("--strip-components", optarg, 0)); break;
      case kVerify: options.verify = true; break;
      default: program.take_common(letter, optarg);
    }
  }
  if (optind == count) program.misused("no archive is named");
  if (*options.directory.c_str() == '\0') program.misused("--directory '' is no directory");
  raise_descriptor_limit();

  std::vector<files::ArchiveFile> archives;
  std::vector<Descriptor> opened;
  for (int i = optind; i < count; ++i) {
    const std::string name = words[i];
    Descriptor file(name == "-" ? dup(0) : open(name.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) {
      program.complain(escaped(name) + ": Cannot open: " + strerror(errno));
      continue;
    }
    archives.push_back({name, file.get()});
    opened.push_back(std::move(file));
  }
  const bool missing = archives.size() != static_cast<std::size_t>(count - optind);
  MemberOutput output(json_lines, verbose + (options.dry_run ? 1 : 0), false);
  connect(program, output, count - optind > 1, options);
  stop_on_signals();
  const files::ExtractResult result = files::extract(archives, options, archive_run(program));
  output.flush();
  program.exit_code();
  end_on_signal();
  for (const std::string& name : result.not_found) program.complain(escaped(name) + ": Not found in archive");
  const bool fine = !missing && result.complete && result.failures == 0 && result.damaged == 0 && result.not_found.empty();
  return fine ? 0 : kSeriousTrouble;
}
