// madang-chown: changes owners of files and trees, as chown does, with many requests at a time.

#include <sys/stat.h>

#include "../files/attributes.hpp"
#include "../files/text.hpp"
#include "modes.hpp"
#include "program.hpp"

using namespace madang;
using namespace madang::commands;

namespace {

constexpr const char* kHelp =
    "Usage: madang-chown [OPTION]... [OWNER][:[GROUP]] FILE...\n"
    "  or:  madang-chown [OPTION]... --reference=RFILE FILE...\n"
    "Change the owner and group of files and, with -R, of all that is in directories;\n"
    "of symbolic links in directories, that of the links themselves.\n"
    "\n"
    "  -R, --recursive         directories and all that is in them\n"
    "  -h, --no-dereference    a symbolic link given is changed itself\n"
    "      --from=OWNER:GROUP  change only what belongs to these (either may be missing)\n"
    "  -v, --verbose           say what became of each file\n"
    "  -c, --changes           say it only where something changed\n"
    "  -f, --silent, --quiet   no errors\n"
    "      --reference=RFILE   the owner and group of RFILE\n"
    "      --one-file-system   leave what is beneath mount points as it is\n"
    "      --exclude GLOB      leave what matches as it is, and what is beneath\n"
    "      --dry-run           only say what would change\n"
    "      --json-lines        one JSON object a line for each file\n"
    "      --preserve-root     fail for '/' with -R (--no-preserve-root: the default)\n";

enum Option { kFrom = kOwnOptions, kReference, kOneFileSystem, kExclude, kPreserveRoot, kNoPreserveRoot, kDereference, kDryRun, kJsonLines };

constexpr option kOptions[] = {
    {"recursive", no_argument, nullptr, 'R'},
    {"no-dereference", no_argument, nullptr, 'h'},
    {"dereference", no_argument, nullptr, kDereference},
    {"from", required_argument, nullptr, kFrom},
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

// "user", "user:group", "user:" (with the user's own group), ":group".
files::Owner parse_owner(const Program& program, const std::string& text) {
  files::Owner owner;
  const std::size_t colon = text.find(':');
  const std::string user = text.substr(0, colon);
  if (!user.empty()) {
    owner.user = find_user(user);
    if (!owner.user) program.misused("invalid user: " + quoted(text));
  }
  if (colon == std::string::npos) return owner;
  const std::string group = text.substr(colon + 1);
  if (!group.empty()) {
    owner.group = find_group(group);
    if (!owner.group) program.misused("invalid group: " + quoted(text));
  } else if (owner.user) {
    owner.group = login_group(*owner.user);
    if (!owner.group) program.misused("invalid spec: " + quoted(text));
  }
  return owner;
}

std::string shown(const files::Owner& owner, const files::Owner& where_missing) {
  static files::IdNames users(files::IdNames::Of::users);
  static files::IdNames groups(files::IdNames::Of::groups);
  return users.name(owner.user.value_or(where_missing.user.value_or(0))) + ":" +
         groups.name(owner.group.value_or(where_missing.group.value_or(0)));
}

}  // namespace

int main(int count, char** words) {
  Program program("madang-chown", kHelp);
  files::OwnerOptions options;
  std::string reference;
  bool verbose = false, changes = false, json_lines = false, preserve_root = false;
  int letter;
  while ((letter = getopt_long(count, words, "RhvcfP", kOptions, nullptr)) != -1) {
    switch (letter) {
      case 'R': options.recursive = true; break;
      case 'h': options.links_themselves = true; break;
      case 'P':
      case kDereference: break;  // as it is anyway
      case 'v': verbose = true; break;
      case 'c': changes = true; break;
      case 'f': program.be_silent(); break;
      case kFrom: options.only_from = parse_owner(program, optarg); break;
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
  files::Owner owner;
  if (!reference.empty()) {
    struct stat status;
    if (stat(reference.c_str(), &status) != 0) {
      program.complain({"failed to get attributes of", reference, errno});
      return kTrouble;
    }
    owner = {status.st_uid, status.st_gid};
  } else {
    if (optind == count) program.misused("missing operand");
    owner = parse_owner(program, words[optind++]);
  }
  if (optind == count) program.misused("missing operand");
  raise_descriptor_limit();

  Output output(files::Crew::kMaxLanes);
  files::OnOwnerChanged told;
  if (verbose || changes || json_lines || options.dry_run) {
    options.wants_old = true;
    told = [&](files::Lane& lane, const files::OwnerChanged& changed) {
      const std::string before = shown(changed.before, {});
      const std::string after = shown(owner, changed.before);
      if (before == after && !verbose && !json_lines) return;
      std::string& text = output.of(lane);
      if (json_lines) {
        text += "{\"path\": " + json_string(changed.path) + ", \"before\": " + json_string(before) +
                ", \"after\": " + json_string(after) + "}\n";
      } else if (before == after) {
        text += "ownership of " + quoted(changed.path) + " retained as " + after + "\n";
      } else {
        text += "changed ownership of " + quoted(changed.path) + " from " + before + " to " + after + "\n";
      }
      output.flush_when_full(lane);
    };
  }
  const std::vector<std::string> paths = program.roots(words + optind, words + count, options.recursive && preserve_root);
  files::change_owner(paths, owner, options, program.run(), told);
  output.flush();
  return program.exit_code();
}
