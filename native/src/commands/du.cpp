// madang-du: sums up what trees take, as `du` does, on many lanes.

#include <fstream>

#include "../files/text.hpp"
#include "../files/usage.hpp"
#include "program.hpp"

namespace madang::commands {
namespace {

constexpr const char* kUsage =
    "Usage: madang-du [OPTION]... [PATH]...\n"
    "Sums up what trees take on the disk (that of the current directory by default). A directory\n"
    "comes after those in it; otherwise there is no order.\n"
    "\n"
    "  -0, --null              lines end with NUL\n"
    "  -a, --all               files too, not just directories\n"
    "      --apparent-size     what files hold, not what they take\n"
    "  -B, --block-size SIZE   in units of SIZE: 512, K, 1M, ...\n"
    "  -b, --bytes             --apparent-size --block-size=1\n"
    "  -c, --total             a sum of all at the end\n"
    "  -d, --max-depth N       lines down to depth N only\n"
    "      --exclude GLOB      leave out what matches; -X, --exclude-from FILE: a pattern each line\n"
    "  -h, --human-readable    sizes like 1K 234M 2G; --si in steps of 1000\n"
    "      --inodes            how many files there are, not their sizes\n"
    "  -k, -m                  in units of 1024 bytes (the default), of 1 MiB\n"
    "  -l, --count-links       files with many names as often as they are met\n"
    "  -S, --separate-dirs     directories without those in them\n"
    "  -s, --summarize         a line for each argument only\n"
    "  -x, --one-file-system   not into other file systems\n"
    "      --json-lines        a JSON object for each\n";

enum Option { kApparent = kOwnOptions, kExclude, kSi, kInodes, kJson };

const option kOptions[] = {{"null", no_argument, nullptr, '0'},
                           {"all", no_argument, nullptr, 'a'},
                           {"apparent-size", no_argument, nullptr, kApparent},
                           {"block-size", required_argument, nullptr, 'B'},
                           {"bytes", no_argument, nullptr, 'b'},
                           {"total", no_argument, nullptr, 'c'},
                           {"max-depth", required_argument, nullptr, 'd'},
                           {"exclude", required_argument, nullptr, kExclude},
                           {"exclude-from", required_argument, nullptr, 'X'},
                           {"human-readable", no_argument, nullptr, 'h'},
                           {"si", no_argument, nullptr, kSi},
                           {"inodes", no_argument, nullptr, kInodes},
                           {"count-links", no_argument, nullptr, 'l'},
                           {"separate-dirs", no_argument, nullptr, 'S'},
                           {"summarize", no_argument, nullptr, 's'},
                           {"one-file-system", no_argument, nullptr, 'x'},
                           {"json-lines", no_argument, nullptr, kJson},
                           MADANG_COMMON_OPTIONS,
                           {nullptr, 0, nullptr, 0}};

struct Settings {
  files::UsageOptions usage;
  files::SizeUnit unit{1024};
  bool inodes = false;
  bool total = false;
  bool json = false;
  char end = '\n';
  std::vector<std::string> paths;
};

void read_patterns(const Program& program, const std::string& path, std::vector<std::string>& patterns) {
  std::ifstream file(path);
  if (!file) program.misused("cannot read patterns from " + quoted(path));
  for (std::string line; std::getline(file, line);) {
    if (!line.empty()) patterns.push_back(line);
  }
}

Settings parse(Program& program, int argc, char** argv) {
  Settings settings;
  bool summarize = false;
  for (int option; (option = getopt_long(argc, argv, "0aB:bcd:hklmsSX:x", kOptions, nullptr)) != -1;) {
    switch (option) {
      case '0': settings.end = '\0'; break;
      case 'a': settings.usage.files = true; break;
      case kApparent: settings.usage.apparent = true; break;
      case 'B':
        if (!files::parse_size_unit(optarg, settings.unit)) {
          program.misused("--block-size " + quoted(optarg) + " is no size; 512, 4K or human-readable would be");
        }
        break;
      case 'b': settings.usage.apparent = true, settings.unit = {1}; break;
      case 'c': settings.total = true; break;
      case 'd': settings.usage.max_depth = static_cast<unsigned>(program.number("--max-depth", optarg, 0)); break;
      case kExclude: settings.usage.exclude.push_back(optarg); break;
      case 'X': read_patterns(program, optarg, settings.usage.exclude); break;
      case 'h': settings.unit = {0, 1024, {}}; break;
      case kSi: settings.unit = {0, 1000, {}}; break;
      case kInodes: settings.inodes = true; break;
      case 'k': settings.unit = {1024}; break;
      case 'm': settings.unit = {1024 * 1024}; break;
      case 'l': settings.usage.count_links = true; break;
      case 'S': settings.usage.separate = true; break;
      case 's': summarize = true; break;
      case 'x': settings.usage.one_file_system = true; break;
      case kJson: settings.json = true; break;
      default: program.take_common(option, optarg);
    }
  }
  if (summarize && settings.usage.files) program.misused("cannot both summarize and show all entries");
  if (summarize && settings.usage.max_depth != UINT32_MAX && settings.usage.max_depth != 0) {
    program.misused("summarizing conflicts with --max-depth=" + std::to_string(settings.usage.max_depth));
  }
  if (summarize) settings.usage.max_depth = 0;
  if (settings.inodes && settings.unit.bytes != 0) settings.unit = {1};
  settings.paths.assign(argv + optind, argv + argc);
  if (settings.paths.empty()) settings.paths.push_back(".");
  return settings;
}

void append(std::string& out, const Settings& settings, std::string_view path, const files::Usage& usage) {
  if (settings.json) {
    out.append("{\"path\":");
    out.append(json_string(path));
    out.append(",\"bytes\":");
    files::append_number(out, usage.bytes);
    out.append(",\"inodes\":");
    files::append_number(out, usage.inodes);
    out.append("}\n");
    return;
  }
  files::append_size(out, settings.inodes ? usage.inodes : usage.bytes, settings.unit);
  out.push_back('\t');
  out.append(path).push_back(settings.end);
}

int run_du(int argc, char** argv) {
  raise_descriptor_limit();
  Program program("madang-du", kUsage);
  const Settings settings = parse(program, argc, argv);
  Output output(files::Crew::kMaxLanes);
  const files::UsageResult result =
      files::usage(program.run(), settings.paths, settings.usage,
                   [&](files::Lane& lane, const std::string& path, const files::Usage& usage) {
                     append(output.of(lane), settings, path, usage);
                     output.flush_when_full(lane);
                   });
  output.flush();
  std::string text;
  for (const files::UsageOfRoot& root : result.roots) {
    if (root.shown) append(text, settings, root.path, root.usage);
  }
  if (settings.total) append(text, settings, "total", result.total);
  output.write(text);
  return program.exit_code();
}

}  // namespace
}  // namespace madang::commands

int main(int argc, char** argv) { return madang::commands::run_du(argc, argv); }
