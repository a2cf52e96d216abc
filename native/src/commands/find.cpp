// madang-find: searches trees as `find` does, on many lanes.

#include <clocale>
#include <cstring>

#include "../files/find.hpp"
#include "program.hpp"

namespace madang::commands {
namespace {

constexpr const char* kUsage =
    "Usage: madang-find [OPTION]... [PATH]... [EXPRESSION]\n"
    "Searches trees (that of the current directory by default) and prints what it finds, in no order.\n"
    "\n"
    "Expressions are those of find; each word may also be written with two dashes (--name '*.py').\n"
    "  tests     -name -iname -path -ipath -regex -iregex -lname -ilname -type -xtype -size -empty\n"
    "            -mtime -atime -ctime -mmin -amin -cmin -newer -anewer -cnewer -newerXY -perm\n"
    "            -user -group -uid -gid -nouser -nogroup -links -inum -samefile\n"
    "            -readable -writable -executable -true -false\n"
    "  actions   -print -print0 -printf FORMAT -ls -delete -prune -quit\n"
    "  settings  -maxdepth -mindepth -depth -xdev -daystart -ignore_readdir_race\n"
    "            --exclude GLOB  leave out names that match, with all beneath\n"
    "  together  ( ) ! -not -a -and -o -or ,\n"
    "\n"
    "  -H                      paths on the command line may be symbolic links\n"
    "  -P                      symbolic links are never followed (so it is)\n"
    "      --json-lines        a JSON object for each, in place of its path\n";

// What the command line says, before the expression is understood.
struct Words {
  std::vector<std::string> paths;
  std::vector<std::string> expression;
  bool follow_roots = false;
  bool json = false;
};

bool begins_expression(const std::string& word) {
  return (word.size() > 1 && word.front() == '-') || word == "(" || word == "!" || word == ")" || word == ",";
}

// Takes an option that all commands have out of the words, wherever it is.
bool take_common(Program& program, int argc, char** argv, int& at) {
  static const option kCommon[] = {MADANG_COMMON_OPTIONS, {nullptr, 0, nullptr, 0}};
  if (std::strncmp(argv[at], "--", 2) != 0) return false;
  const char* value = std::strchr(argv[at], '=');
  const std::string_view name(argv[at] + 2, value ? value - argv[at] - 2 : std::strlen(argv[at] + 2));
  for (const option* known = kCommon; known->name; ++known) {
    if (name != known->name) continue;
    if (value) ++value;
    if (known->has_arg == required_argument && !value) {
      if (at + 1 == argc) program.misused("option '--" + std::string(name) + "' requires an argument");
      value = argv[++at];
    }
    return program.take_common(known->val, value);
  }
  return false;
}

Words split(Program& program, int argc, char** argv) {
  Words words;
  for (int at = 1; at < argc; ++at) {
    const std::string word = argv[at];
    if (take_common(program, argc, argv, at)) continue;
    if (word == "--json-lines") {
      words.json = true;
    } else if (words.expression.empty() && words.paths.empty() && (word == "-P" || word == "-H" || word == "-L")) {
      if (word == "-L") program.misused("-L is not known: symbolic links are never followed; -H follows those on the command line");
      words.follow_roots = word == "-H";
    } else if (words.expression.empty() && !begins_expression(word)) {
      words.paths.push_back(word);
    } else {
      words.expression.push_back(word);
    }
  }
  if (words.paths.empty()) words.paths.push_back(".");
  return words;
}

class PrintFound final : public files::FindOutput {
 public:
  explicit PrintFound(bool json) : json_(json) {}

  std::string& text(files::Lane& lane) override { return output_.of(lane); }
  void done(files::Lane& lane) override { output_.flush_when_full(lane); }
  void matched(files::Found& found) override {
    if (json_) return append_json(found);
    found.append_path(found.out);
    found.out.push_back('\n');
  }
  void flush() { output_.flush(); }

 private:
  static void append_json(files::Found& found);

  const bool json_;
  Output output_{files::Crew::kMaxLanes};
};

constexpr unsigned kJsonMask = STATX_TYPE | STATX_MODE | STATX_SIZE | STATX_MTIME | STATX_UID | STATX_GID;

void PrintFound::append_json(files::Found& found) {
  const struct statx* status = found.status();
  if (!status) return;
  std::string& out = found.out;
  const auto number = [&](const char* key, auto value) {
    out.append(",\"").append(key).append("\":");
    files::append_number(out, value);
  };
  const auto text = [&](const char* key, std::string_view value) {
    out.append(",\"").append(key).append("\":");
    out.append(json_string(value));
  };
  out.append("{\"path\":");
  out.append(json_string(found.path()));
  text("type", files::type_name(files::type_of(*status)));
  std::string mode;
  files::append_mode(mode, status->stx_mode);
  text("mode", mode);
  text("user", found.search().users.name(status->stx_uid));
  text("group", found.search().groups.name(status->stx_gid));
  number("size", std::uint64_t{status->stx_size});
  number("mtime_ns", std::int64_t{status->stx_mtime.tv_sec} * 1'000'000'000 + status->stx_mtime.tv_nsec);
  out.append("}\n");
}

int run_find(int argc, char** argv) {
  raise_descriptor_limit();
  std::setlocale(LC_ALL, "");
  tzset();
  Program program("madang-find", kUsage);
  const Words words = split(program, argc, argv);
  files::Expression expression;
  try {
    expression = files::parse_expression(words.expression);
  } catch (const files::Misunderstood& misunderstood) {
    program.complain(misunderstood.what());
    return kTrouble;  // as find has it
  }
  if (words.json) expression.mask |= kJsonMask;
  PrintFound output(words.json);
  files::find(program.run(), words.paths, expression, words.follow_roots, output);
  output.flush();
  return program.exit_code();
}

}  // namespace
}  // namespace madang::commands

int main(int argc, char** argv) { return madang::commands::run_find(argc, argv); }
