#include "tar_arguments.hpp"

#include <grp.h>
#include <pwd.h>
#include <sys/stat.h>
#include <time.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace madang::commands {

const char* const kTarHelp =
    "Usage: madang-tar cf ARCHIVE [-C DIR] NAME...\n"
    "  or:  madang-tar tf ARCHIVE [NAME]...\n"
    "  or:  madang-tar xf ARCHIVE [-C DIR] [NAME]...\n"
    "Make, list or extract a tar archive, with many requests at a time. An archive has\n"
    "its name only once it is whole, and a file that is extracted, too.\n"
    "\n"
    "  -c, --create            make an archive\n"
    "  -t, --list              list what is in it (-tv: with all details)\n"
    "  -x, --extract           extract it (all, or what is named)\n"
    "  -f, --file ARCHIVE      its file; '-', or nothing: standard output or input\n"
    "  -C, --directory DIR     names that follow are in DIR; extract there\n"
    "  -z, --gzip; --zstd      compress; reading needs no option\n"
    "  -a, --auto-compress     compress as the name says: .tar.gz, .tgz, .tar.zst\n"
    "      --level N           compress as hard as that\n"
    "  -v, --verbose           say the names\n"
    "      --exclude GLOB      leave out what matches\n"
    "  -X, --exclude-from FILE the same, patterns from lines of FILE\n"
    "      --xattrs, --acls    with extended attributes, with ACLs\n"
    "\n"
    "When making one:\n"
    "      --sort ORDER        none (as it comes), or name\n"
    "      --no-recursion      directories without what is in them\n"
    "      --one-file-system   mount points without what is in them\n"
    "  -h, --dereference       for symbolic links to files, the files; links to directories\n"
    "                          stay links\n"
    "  -P, --absolute-names    keep a leading '/' and '..'\n"
    "      --numeric-owner     no names of users and groups\n"
    "      --owner NAME[:UID], --group NAME[:GID], --mtime @SECONDS|YYYY-MM-DD\n"
    "                          say this of every member\n"
    "\n"
    "When extracting:\n"
    "  -p, --preserve-permissions  modes as in the archive, regardless of the umask\n"
    "      --same-owner, -o, --no-same-owner  owners as in the archive (root: so), or not\n"
    "  -m, --touch             leave the times as they come\n"
    "  -k, --keep-old-files    a file that is there is an error\n"
    "      --strip-components N  without the first N parts of names\n"
    "      --resume            leave files that are there with the same size and time\n"
    "      --verify            read each file once more and compare\n"
    "      --dry-run           read the archive, write nothing\n"
    "      --max-bytes N       stop before more than N bytes are written\n"
    "      --json-lines        one JSON object a line for each member\n";

namespace {

enum Option {
  kAcls = kOwnOptions, kDryRun, kExclude, kFormat, kGroup, kJsonLines, kLevel, kMaxBytes, kMtime,
  kNoRecursion, kNoSameOwner, kNumericOwner, kOneFileSystem, kOwner, kRecursion, kResume, kSameOwner, kSort,
  kStrip, kVerify, kXattrs, kZstd,
};

constexpr const char* kLetters = "-ctxf:C:zjJavX:hPpomkSbB";

constexpr option kOptions[] = {
    {"absolute-names", no_argument, nullptr, 'P'},
    {"acls", no_argument, nullptr, kAcls},
    {"auto-compress", no_argument, nullptr, 'a'},
    {"create", no_argument, nullptr, 'c'},
    {"dereference", no_argument, nullptr, 'h'},
    {"directory", required_argument, nullptr, 'C'},
    {"dry-run", no_argument, nullptr, kDryRun},
    {"exclude", required_argument, nullptr, kExclude},
    {"exclude-from", required_argument, nullptr, 'X'},
    {"extract", no_argument, nullptr, 'x'},
    {"file", required_argument, nullptr, 'f'},
    {"format", required_argument, nullptr, kFormat},
    {"get", no_argument, nullptr, 'x'},
    {"group", required_argument, nullptr, kGroup},
    {"gunzip", no_argument, nullptr, 'z'},
    {"gzip", no_argument, nullptr, 'z'},
    {"json-lines", no_argument, nullptr, kJsonLines},
    {"keep-old-files", no_argument, nullptr, 'k'},
    {"level", required_argument, nullptr, kLevel},
    {"list", no_argument, nullptr, 't'},
    {"max-bytes", required_argument, nullptr, kMaxBytes},
    {"mtime", required_argument, nullptr, kMtime},
    {"no-recursion", no_argument, nullptr, kNoRecursion},
    {"no-same-owner", no_argument, nullptr, kNoSameOwner},
    {"numeric-owner", no_argument, nullptr, kNumericOwner},
    {"one-file-system", no_argument, nullptr, kOneFileSystem},
    {"owner", required_argument, nullptr, kOwner},
    {"preserve-permissions", no_argument, nullptr, 'p'},
    {"recursion", no_argument, nullptr, kRecursion},
    {"resume", no_argument, nullptr, kResume},
    {"same-owner", no_argument, nullptr, kSameOwner},
    {"same-permissions", no_argument, nullptr, 'p'},
    {"sort", required_argument, nullptr, kSort},
    {"sparse", no_argument, nullptr, 'S'},
    {"strip-components", required_argument, nullptr, kStrip},
    {"touch", no_argument, nullptr, 'm'},
    {"verbose", no_argument, nullptr, 'v'},
    {"verify", no_argument, nullptr, kVerify},
    {"xattrs", no_argument, nullptr, kXattrs},
    {"zstd", no_argument, nullptr, kZstd},
    MADANG_COMMON_OPTIONS,
    {nullptr, 0, nullptr, 0},
};

// "cf OUT" is "-c -f OUT": the words that letters need follow the letters, in their order.
std::vector<std::string> without_old_style(const Program& program, int count, char** words) {
  std::vector<std::string> result(words, words + std::min(count, 1));
  int next = 1;
  if (count > 1 && *words[1] != '-') {
    next = 2;
    for (const char* letter = words[1]; *letter; ++letter) {
      result.push_back(std::string("-") + *letter);
      const char* known = *letter == '-' || *letter == ':' ? nullptr : std::strchr(kLetters, *letter);
      if (!known || known[1] != ':') continue;
      if (next >= count) program.misused(std::string("Old option '") + *letter + "' requires an argument.");
      result.push_back(words[next++]);
    }
  }
  result.insert(result.end(), words + next, words + count);
  return result;
}

// NAME, NAME:NUMBER, :NUMBER or NUMBER.
std::pair<std::string, std::uint64_t> owner(const Program& program, const char* option, const std::string& text, bool user) {
  const std::size_t colon = text.find(':');
  std::string name = text.substr(0, colon);
  if (colon != std::string::npos) return {name, program.number(option, text.c_str() + colon + 1, 0)};
  char* end = nullptr;
  const std::uint64_t number = std::strtoull(text.c_str(), &end, 10);
  if (!text.empty() && *end == '\0') return {"", number};
  if (user) {
    if (const passwd* entry = getpwnam(name.c_str())) return {name, entry->pw_uid};
  } else if (const ::group* entry = getgrnam(name.c_str())) {
    return {name, entry->gr_gid};
  }
  program.misused(std::string(option) + " " + quoted(text) + " is not known here; NAME:NUMBER says both");
}

std::int64_t point_in_time(const Program& program, const char* text) {
  if (*text == '@') {
    char* end = nullptr;
    const long long seconds = std::strtoll(text + 1, &end, 10);
    if (end != text + 1 && *end == '\0') return seconds;
  } else if (*text == '/' || *text == '.') {
    struct stat status;
    if (stat(text, &status) == 0) return status.st_mtim.tv_sec;
  } else {
    for (const char* format : {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%d"}) {
      tm parts{};
      parts.tm_isdst = -1;
      const char* end = strptime(text, format, &parts);
      if (!end) continue;
      if (std::strcmp(end, "Z") == 0 || std::strcmp(end, " UTC") == 0) return timegm(&parts);
      if (*end == '\0') return mktime(&parts);
    }
  }
  program.misused(std::string("--mtime ") + quoted(text) + " is no time; say @SECONDS, 'YYYY-MM-DD HH:MM:SS' or a file as ./FILE");
}

void add_patterns(Program& program, const char* path, std::vector<std::string>& patterns) {
  std::FILE* file = std::fopen(path, "re");
  if (!file) program.misused(std::string("--exclude-from ") + quoted(path) + ": " + strerror(errno));
  char* line = nullptr;
  std::size_t size = 0;
  ssize_t length;
  while ((length = getline(&line, &size, file)) > 0) {
    if (line[length - 1] == '\n') line[--length] = '\0';
    if (length != 0) patterns.emplace_back(line);
  }
  free(line);
  std::fclose(file);
}

void set_mode(const Program& program, TarArguments& arguments, TarMode mode) {
  if (arguments.mode != TarMode::none && arguments.mode != mode) {
    program.misused("You may not specify more than one '-ctx' option");
  }
  arguments.mode = mode;
}

}  // namespace

TarArguments tar_arguments(Program& program, int count, char** words) {
  TarArguments arguments;
  std::vector<std::string> strings = without_old_style(program, count, words);
  std::vector<char*> pointers;
  for (std::string& word : strings) pointers.push_back(word.data());
  pointers.push_back(nullptr);
  const int num_words = static_cast<int>(strings.size());
  bool by_name = false;
  int letter;
  while ((letter = getopt_long(num_words, pointers.data(), kLetters, kOptions, nullptr)) != -1) {
    switch (letter) {
      case 1: arguments.names.push_back({optarg, arguments.directory}); break;
      case 'c': set_mode(program, arguments, TarMode::create); break;
      case 't': set_mode(program, arguments, TarMode::list); break;
      case 'x': set_mode(program, arguments, TarMode::extract); break;
      case 'f': arguments.file = optarg; break;
      case 'C':
        // As with tar, one -C is relative to the one before.
        if (*optarg != '/' && !arguments.directory.empty()) {
          arguments.directory += std::string("/") + optarg;
        } else {
          arguments.directory = optarg;
        }
        break;
      case 'z': arguments.compression = files::Compression::gzip; break;
      case kZstd: arguments.compression = files::Compression::zstd; break;
      case 'j':
      case 'J': program.misused("bzip2 and xz are not supported; use --zstd or --gzip");
      case 'a': by_name = true; break;
      case kLevel: arguments.level = static_cast<int>(program.number("--level", optarg, 1)); break;
      case 'v': ++arguments.verbose; break;
      case kExclude: arguments.exclude.emplace_back(optarg); break;
      case 'X': add_patterns(program, optarg, arguments.exclude); break;
      case 'h': arguments.follow_links = true; break;
      case 'P': arguments.absolute_names = true; break;
      case 'p': arguments.to_the_letter = true; break;
      case 'o':
      case kNoSameOwner: arguments.same_owner = false; break;
      case kSameOwner: arguments.same_owner = true; break;
      case 'm': arguments.no_mtime = true; break;
      case 'k': arguments.keep_old = true; break;
      case 'S': break;  // always
      case kAcls: arguments.acls = true; break;
      case kXattrs: arguments.xattrs = true; break;
      case kDryRun: arguments.dry_run = true; break;
      case kJsonLines: arguments.json_lines = true; break;
      case kResume: arguments.resume = true; break;
      case kVerify: arguments.verify = true; break;
      case kMaxBytes: arguments.max_bytes = program.number("--max-bytes", optarg, 1); break;
      case kFormat:
        if (std::strcmp(optarg, "pax") != 0 && std::strcmp(optarg, "posix") != 0) {
          program.misused("--format " + quoted(optarg) + ": only pax archives are made");
        }
        break;
      case kOwner: arguments.owner = owner(program, "--owner", optarg, true); break;
      case kGroup: arguments.group = owner(program, "--group", optarg, false); break;
      case kMtime: arguments.mtime_s = point_in_time(program, optarg); break;
      case kNoRecursion: arguments.recursive = false; break;
      case kRecursion: arguments.recursive = true; break;
      case kNumericOwner: arguments.numeric_owner = true; break;
      case kOneFileSystem: arguments.one_file_system = true; break;
      case kSort:
        if (std::strcmp(optarg, "name") != 0 && std::strcmp(optarg, "none") != 0) {
          program.misused("--sort " + quoted(optarg) + " is neither 'name' nor 'none'");
        }
        arguments.sort_by_name = std::strcmp(optarg, "name") == 0;
        break;
      case kStrip: arguments.strip_components = static_cast<unsigned>(program.number("--strip-components", optarg, 0)); break;
      default: program.take_common(letter, optarg);
    }
  }
  for (int i = optind; i < num_words; ++i) arguments.names.push_back({strings[i], arguments.directory});
  if (arguments.mode == TarMode::none) program.misused("You must specify one of the '-ctx' options");
  if (by_name && !arguments.compression) arguments.compression = files::compression_of_name(arguments.file);
  if (arguments.compression) {
    if (const std::string reason = files::why_not(*arguments.compression); !reason.empty()) program.misused(reason);
  }
  return arguments;
}

}  // namespace madang::commands
