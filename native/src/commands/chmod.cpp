// madang-chmod: changes modes of files and trees, as chmod does, with many requests at a time.

#include <sys/stat.h>

#include "../files/attributes.hpp"
#include "modes.hpp"
#include "program.hpp"

using namespace madang;
using namespace madang::commands;

namespace {

constexpr const char* kHelp =
    "Usage: madang-chmod [OPTION]... MODE[,MODE]... FILE...\n"
    "  or:  madang-chmod [OPTION]... --reference=RFILE FILE...\n"
    "Change the mode of files and, with -R, of all that is in directories. Symbolic\n"
    "links in directories are left alone.\n"
    "\n"
    "  -R, --recursive         directories and all that is in them\n"
    "  -v, --verbose           say what became of each file\n"
    "  -c, --changes           say it only where something changed\n"
    "  -f, --silent, --quiet   no errors\n"
    "      --reference=RFILE   the mode of RFILE instead of MODE\n"
    "      --one-file-system   leave what is beneath mount points as it is\n"
    "      --exclude GLOB      leave what matches as it is, and what is beneath\n"
    "      --dry-run           only say what would change\n"
    "      --json-lines        one JSON object a line for each file\n"
    "      --preserve-root     fail for '/' with -R (--no-preserve-root: the default)\n"
    "\n"
    "MODE is octal, or of the form [ugoa]*([-+=]([rwxXst]*|[ugo]))+.\n\n";

enum Option { kReference = kOwnOptions, kOneFileSystem, kExclude, kPreserveRoot, kNoPreserveRoot, kDryRun, kJsonLines };

constexpr option kOptions[] = {
    {"recursive", no_argument, nullptr, 'R'},
    {"verbose", no_argument, nullptr, 'v'},
    {"changes", no_argument, nullptr, 'c'},
    {"silent", no_argument, nullptr, 'f'},
    {"quiet", no_argument, nullptr, 'f'},
    {"reference", required_argument, nullptr, kReference},
    {"one-file-system", no_argument, nullptr, kOneFileSystem},
    {"exclude", required_argument, nullptr, kExclude},
    {"preserve-root", no_argument, nullptr, kPreserveRoot},
    {"no-preserve-root", no_argument, nullptr, kNoPreserveRoot},
    {"dry-run", no_argument, nullptr, kDryRun},
    {"json-lines", no_argument, nullptr, kJsonLines},
    MADANG_COMMON_OPTIONS,
    {nullptr, 0, nullptr, 0},
};

// "-w" looks like an option to getopt and is a mode to chmod: taken out of the words first.
const char* take_mode_with_dash(int& count, char** words) {
  for (int i = 1; i < count; ++i) {
    const std::string_view word = words[i];
    if (word == "--") return nullptr;
    if (word.size() < 2 || word[0] != '-' || word.find_first_not_of("rwxXstugoa,+-=0123456789", 1) != word.npos) {
      continue;
    }
    const char* mode = words[i];
    for (int j = i; j < count; ++j) words[j] = words[j + 1];
    --count;
    return mode;
  }
  return nullptr;
}

std::string line(const files::ModeChanged& changed, bool json_lines) {
  const bool otherwise = changed.before && (*changed.before & 07777) != changed.after;
  if (json_lines) {
    return "{\"path\": " + json_string(changed.path) + ", \"before\": \"" + mode_octal(*changed.before) +
           "\", \"after\": \"" + mode_octal(changed.after) + "\"}\n";
  }
  const auto shown = [](mode_t mode) { return mode_octal(mode) + " (" + mode_letters(mode) + ")"; };
  return "mode of " + quoted(changed.path) +
         (otherwise ? " changed from " + shown(*changed.before) + " to " : " retained as ") +
         shown(changed.after) + "\n";
}

}  // namespace

int main(int count, char** words) {
  Program program("madang-chmod", kHelp);
  files::ChangeOptions options;
  std::string reference;
  bool verbose = false, changes = false, json_lines = false, preserve_root = false;
  const char* dashed = take_mode_with_dash(count, words);
  int letter;
  while ((letter = getopt_long(count, words, "Rvcf", kOptions, nullptr)) != -1) {
    switch (letter) {
      case 'R': options.recursive = true; break;
      case 'v': verbose = true; break;
      case 'c': changes = true; break;
      case 'f': program.be_silent(); break;
      case kReference: reference = optarg; break;
      case kOneFileSystem: options.one_file_system = true; break;
      case kExclude: options.exclude.emplace_back(optarg); break;
      case kPreserveRoot: preserve_root = true; break;
      case kNoPreserveRoot: preserve_root = false; break;
      case kDryRun: options.dry_run = true; break;
      case kJsonLines: json_lines = true; break;
      default: program.take_common(letter, optarg);
    }
  }
  std::optional<files::ModeChange> mode;
  if (!reference.empty()) {
    struct stat status;
    if (stat(reference.c_str(), &status) != 0) {
      program.complain({"failed to get attributes of", reference, errno});
      return kTrouble;
    }
    mode = files::ModeChange::exactly(status.st_mode);
  } else {
    const mode_t mask = umask(0);
    umask(mask);
    const char* text = dashed ? dashed : optind < count ? words[optind++] : nullptr;
    if (!text) program.misused("missing operand");
    mode = files::ModeChange::parse(text, mask);
    if (!mode) program.misused("invalid mode: " + quoted(text));
  }
  if (optind == count) program.misused("missing operand");
  raise_descriptor_limit();

  Output output(files::Crew::kMaxLanes);
  files::OnModeChanged told;
  if (verbose || changes || json_lines || options.dry_run) {
    options.wants_old = true;
    told = [&](files::Lane& lane, const files::ModeChanged& changed) {
      const bool otherwise = (*changed.before & 07777) != changed.after;
      if (!otherwise && !verbose && !json_lines) return;
      output.of(lane) += line(changed, json_lines);
      output.flush_when_full(lane);
    };
  }
  const std::vector<std::string> paths = program.roots(words + optind, words + count, options.recursive && preserve_root);
  files::change_mode(paths, *mode, options, program.run(), told);
  output.flush();
  return program.exit_code();
}
