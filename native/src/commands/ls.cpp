// madang-ls: lists directories as `ls` does, many at a time.

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <clocale>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "../files/directories.hpp"
#include "ls_format.hpp"
#include "ls_order.hpp"
#include "program.hpp"

namespace madang::commands {
namespace {

constexpr const char* kUsage =
    "Usage: madang-ls [OPTION]... [FILE]...\n"
    "Lists directories (the current one by default), many at a time. What is printed is what\n"
    "ls prints; with -R directories come as they are read, and with --sort in ls's order.\n"
    "\n"
    "  -a, --all               names that begin with a dot too\n"
    "  -A, --almost-all        these, without . and ..\n"
    "  -c, -u                  the time of the last change of status, of the last access\n"
    "  -C                      in columns, as on a terminal\n"
    "  -d, --directory         directories themselves, not what is in them\n"
    "      --exclude GLOB      leave out names that match (also -I, --ignore)\n"
    "  -f                      all, as they are read\n"
    "  -F, --classify          with one of */=>@| after names; --file-type without *\n"
    "  -g, -o, -G, --no-group  long, without owner; long, without group; no group\n"
    "      --group-directories-first\n"
    "  -h, --human-readable    sizes like 1K 234M 2G; --si in steps of 1000\n"
    "  -i, --inode             inode numbers\n"
    "  -k, --kibibytes         blocks of 1024 bytes (the default)\n"
    "      --block-size SIZE   sizes in units of SIZE\n"
    "  -l                      long: mode, owner, size, time\n"
    "  -n, --numeric-uid-gid   long, with numbers of users and groups\n"
    "  -N, --literal           names as they are, without quotes\n"
    "  -p                      a slash after directories\n"
    "  -r, --reverse           in reverse\n"
    "  -R, --recursive         what is in directories too\n"
    "  -s, --size              the space that is allocated\n"
    "  -S, -t, -X, -U          by size, by time, by extension, as they are read\n"
    "      --sort[=BY]         directories in ls's order; BY: name, none, size, time, extension\n"
    "      --full-time         long, with full times\n"
    "      --time-style STYLE  full-iso, long-iso, iso, locale or +FORMAT\n"
    "  -w, --width COLS        of a line\n"
    "  -x, --one-file-system   not into other file systems\n"
    "  -1                      a name each line\n"
    "      --json-lines        a JSON object for each\n";

enum Option { kSort = kOwnOptions, kExclude, kFileType, kSi, kBlockSize, kFullTime, kTimeStyle, kFirst, kJson };

const option kOptions[] = {
    {"all", no_argument, nullptr, 'a'},
    {"almost-all", no_argument, nullptr, 'A'},
    {"directory", no_argument, nullptr, 'd'},
    {"exclude", required_argument, nullptr, kExclude},
    {"ignore", required_argument, nullptr, 'I'},
    {"classify", no_argument, nullptr, 'F'},
    {"file-type", no_argument, nullptr, kFileType},
    {"no-group", no_argument, nullptr, 'G'},
    {"group-directories-first", no_argument, nullptr, kFirst},
    {"human-readable", no_argument, nullptr, 'h'},
    {"si", no_argument, nullptr, kSi},
    {"inode", no_argument, nullptr, 'i'},
    {"kibibytes", no_argument, nullptr, 'k'},
    {"block-size", required_argument, nullptr, kBlockSize},
    {"numeric-uid-gid", no_argument, nullptr, 'n'},
    {"literal", no_argument, nullptr, 'N'},
    {"reverse", no_argument, nullptr, 'r'},
    {"recursive", no_argument, nullptr, 'R'},
    {"size", no_argument, nullptr, 's'},
    {"sort", optional_argument, nullptr, kSort},
    {"full-time", no_argument, nullptr, kFullTime},
    {"time-style", required_argument, nullptr, kTimeStyle},
    {"width", required_argument, nullptr, 'w'},
    {"one-file-system", no_argument, nullptr, 'x'},
    {"json-lines", no_argument, nullptr, kJson},
    MADANG_COMMON_OPTIONS,
    {nullptr, 0, nullptr, 0}};

struct Settings {
  files::DirectoriesOptions directories;
  Layout layout;
  bool themselves = false;  // -d
  bool in_order = false;    // --sort
  bool json = false;
  std::vector<std::string> paths;
};

std::size_t terminal_width() {
  if (const char* columns = std::getenv("COLUMNS")) {
    const int width = std::atoi(columns);
    if (width > 0) return static_cast<std::size_t>(width);
  }
  winsize size;
  return ioctl(1, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

SortBy sort_named(const Program& program, std::string_view name) {
  if (name == "none") return SortBy::none;
  if (name == "name") return SortBy::name;
  if (name == "size") return SortBy::size;
  if (name == "time") return SortBy::time;
  if (name == "extension") return SortBy::extension;
  program.misused("--sort=" + std::string(name) + " is none of name, none, size, time, extension");
}

void set_time_style(const Program& program, std::string_view style, Layout& layout) {
  if (style == "full-iso") {
    layout.recent_format = layout.old_format = "%Y-%m-%d %H:%M:%S.%N %z";
  } else if (style == "long-iso") {
    layout.recent_format = layout.old_format = "%Y-%m-%d %H:%M";
  } else if (style == "iso") {
    layout.recent_format = "%m-%d %H:%M";
    layout.old_format = "%Y-%m-%d ";
  } else if (style == "locale") {
    layout.recent_format = Layout().recent_format;
    layout.old_format = Layout().old_format;
  } else if (!style.empty() && style.front() == '+') {
    const std::string formats(style.substr(1));
    const std::size_t line = formats.find('\n');
    layout.old_format = formats.substr(0, line);
    layout.recent_format = line == std::string::npos ? formats : formats.substr(line + 1);
  } else {
    program.misused("--time-style " + quoted(style) + " is none of full-iso, long-iso, iso, locale, +FORMAT");
  }
}

Settings parse(Program& program, int argc, char** argv) {
  Settings settings;
  Layout& layout = settings.layout;
  files::DirectoriesOptions& directories = settings.directories;
  const bool terminal = isatty(1);
  layout.columns = layout.quote = terminal;
  if (terminal) layout.line_width = terminal_width();
  const auto set_long = [&] { layout.is_long = true; };
  for (int option; (option = getopt_long(argc, argv, "aAcCdfFgGhiI:klnNoprRsStuUw:xX1", kOptions, nullptr)) != -1;) {
    switch (option) {
      case 'a': directories.hidden = files::Hidden::all; break;
      case 'A': directories.hidden = files::Hidden::almost_all; break;
      case 'c': directories.time = files::TimeOf::change; break;
      case 'u': directories.time = files::TimeOf::access; break;
      case 'C': layout.columns = true, layout.is_long = false; break;
      case 'd': settings.themselves = true; break;
      case kExclude:
      case 'I': directories.exclude.push_back(optarg); break;
      case 'f':
        directories.hidden = files::Hidden::all;
        layout.sort = SortBy::none;
        layout.is_long = layout.blocks = false;
        break;
      case 'F': layout.indicator = Indicator::classify; break;
      case kFileType: layout.indicator = Indicator::file_type; break;
      case 'p': layout.indicator = Indicator::slash; break;
      case 'g': set_long(), layout.owner = false; break;
      case 'o': set_long(), layout.group = false; break;
      case 'G': layout.group = false; break;
      case kFirst: layout.directories_first = true; break;
      case 'h': layout.size_unit = layout.block_unit = {0, 1024, {}}; break;
      case kSi: layout.size_unit = layout.block_unit = {0, 1000, {}}; break;
      case 'k': layout.block_unit = {1024, 1024, {}}; break;
      case kBlockSize:
        if (!files::parse_size_unit(optarg, layout.size_unit)) {
          program.misused("--block-size " + quoted(optarg) + " is no size; 1024, 4K or human-readable would be");
        }
        layout.block_unit = layout.size_unit;
        break;
      case 'i': layout.inode = true; break;
      case 'l': set_long(); break;
      case 'n': set_long(), layout.numeric = true; break;
      case 'N': layout.quote = false; break;
      case 'r': layout.reverse = true; break;
      case 'R': directories.recursive = true; break;
      case 's': layout.blocks = true; break;
      case 'S': layout.sort = SortBy::size; break;
      case 't': layout.sort = SortBy::time; break;
      case 'U': layout.sort = SortBy::none; break;
      case 'X': layout.sort = SortBy::extension; break;
      case kSort:
        settings.in_order = true;
        if (optarg) layout.sort = sort_named(program, optarg);
        break;
      case kFullTime: set_long(), set_time_style(program, "full-iso", layout); break;
      case kTimeStyle: set_time_style(program, optarg, layout); break;
      case 'w':
        layout.line_width = program.number("--width", optarg, 0);
        if (layout.line_width == 0) layout.line_width = SIZE_MAX / 2;
        break;
      case 'x': directories.one_file_system = true; break;
      case '1': layout.columns = false; break;
      case kJson: settings.json = true; break;
      default: program.take_common(option, optarg);
    }
  }
  settings.paths.assign(argv + optind, argv + argc);
  if (settings.paths.empty()) settings.paths.push_back(".");
  directories.links = directories.access = layout.is_long || settings.json;
  directories.targets = (layout.is_long && layout.indicator >= Indicator::file_type) || layout.directories_first;
  directories.status = layout.is_long || settings.json || layout.blocks || layout.directories_first || layout.sort == SortBy::size ||
                       layout.sort == SortBy::time;
  directories.types = directories.recursive || layout.indicator != Indicator::none || layout.directories_first;
  directories.executables = layout.indicator == Indicator::classify;
  return settings;
}

class Ls {
 public:
  Ls(Program& program, Settings settings)
      : program_(program), settings_(std::move(settings)), users_(files::IdNames::Of::users, settings_.layout.numeric),
        groups_(files::IdNames::Of::groups, settings_.layout.numeric) {}

  int run() {
    files::Run run = program_.run();
    run.failed = [&](const files::Failure& failure) {
      program_.complain(failure);
      const auto& paths = settings_.paths;
      const bool asked_for = std::find(paths.begin(), paths.end(), failure.path) != paths.end();
      status_ = std::max(status_, asked_for ? 2 : 1);  // as ls has it
    };
    std::vector<std::string> directories = show_files(run);
    if (!directories.empty()) show_directories(run, directories);
    return std::max(status_, program_.exit_code());
  }

 private:
  // The arguments that are no directories, or all of them; returns the others, in their order.
  std::vector<std::string> show_files(const files::Run& run) {
    const bool follow = !settings_.themselves && !settings_.layout.is_long && !settings_.json &&
                        settings_.layout.indicator != Indicator::classify;
    files::Rows rows = files::examine(run, settings_.paths, settings_.directories, follow);
    Formatter formatter(settings_.layout, users_, groups_);
    std::vector<std::uint32_t> shown;
    std::vector<std::string> directories;
    for (const std::uint32_t index : formatter.order(rows)) {
      const files::Row& row = rows.rows[index];
      if (!row.known) continue;
      if (row.type == DT_DIR && !settings_.themselves) {
        directories.emplace_back(rows.name(row));
      } else {
        shown.push_back(index);
      }
    }
    headers_ = settings_.directories.recursive || settings_.paths.size() > 1;
    std::string text;
    if (settings_.json) {
      for (const std::uint32_t index : shown) append_json(text, rows, rows.rows[index], "");
    } else {
      formatter.append(text, rows, shown, /*total=*/false);
    }
    is_first_ = text.empty();
    output_.write(text);
    return directories;
  }

  void show_directories(const files::Run& run, const std::vector<std::string>& directories) {
    // Without -R the order is that of ls anyway, as are so few.
    const bool in_order = !settings_.json && (settings_.in_order || !settings_.directories.recursive);
    InOrder ordered([&](std::string& text) { show(text); });
    if (in_order) ordered.begin(directories);
    files::list_directories(run, directories, settings_.directories,
                            [&](files::Lane& lane, const files::Directory& directory, const files::Rows* rows) {
                              if (in_order) {
                                add_in_order(lane, ordered, directory, rows);
                              } else if (rows) {
                                std::string& text = output_.of(lane);
                                append(lane, text, directory, *rows);
                                if (text.size() >= kEnough) show(text);
                              }
                            });
    output_.each([&](std::string& text) { show(text); });
  }

  std::vector<std::uint32_t> append(files::Lane& lane, std::string& text, const files::Directory& directory,
                                    const files::Rows& rows) {
    if (settings_.json) {
      for (const files::Row& row : rows.rows) append_json(text, rows, row, directory.path());
      return {};
    }
    Formatter& formatter = formatter_of(lane);
    std::vector<std::uint32_t> order = formatter.order(rows);
    if (headers_) {
      text.push_back('\n');
      formatter.append_header(text, directory.path());
    }
    formatter.append(text, rows, order, /*total=*/true);
    return order;
  }

  void add_in_order(files::Lane& lane, InOrder& ordered, const files::Directory& directory, const files::Rows* rows) {
    std::string text;
    std::vector<std::string> children;
    if (rows) {
      for (const std::uint32_t index : append(lane, text, directory, *rows)) {
        const files::Row& row = rows->rows[index];
        const std::string_view name = rows->name(row);
        if (!settings_.directories.recursive || row.type != DT_DIR || name == "." || name == "..") continue;
        children.push_back(directory.path_of(name));
      }
    }
    ordered.add(directory.path(), std::move(text), children);
  }

  // Each listing begins with an empty line, but for what comes first.
  void show(std::string& text) {
    if (text.empty()) return;
    std::lock_guard lock(mutex_);
    if (is_first_ && headers_ && !settings_.json) text.erase(0, 1);
    is_first_ = false;
    output_.write(text);
  }

  void append_json(std::string& out, const files::Rows& rows, const files::Row& row, const std::string& directory);

  Formatter& formatter_of(files::Lane& lane) {
    std::unique_ptr<Formatter>& formatter = formatters_[lane.index()];
    if (!formatter) formatter = std::make_unique<Formatter>(settings_.layout, users_, groups_);
    return *formatter;
  }

  static constexpr std::size_t kEnough = 64 * 1024;

  Program& program_;
  const Settings settings_;
  files::IdNames users_;
  files::IdNames groups_;
  Output output_{files::Crew::kMaxLanes};
  std::unique_ptr<Formatter> formatters_[files::Crew::kMaxLanes];
  std::mutex mutex_;      // of is_first_
  bool is_first_ = true;  // nothing was shown yet
  bool headers_ = false;
  int status_ = 0;
};

void Ls::append_json(std::string& out, const files::Rows& rows, const files::Row& row, const std::string& directory) {
  if (!row.known) return;
  std::string path = directory;
  if (!path.empty() && path.back() != '/') path.push_back('/');
  path.append(rows.name(row));
  const auto number = [&](const char* key, auto value) {
    out.append(",\"").append(key).append("\":");
    files::append_number(out, value);
  };
  const auto text = [&](const char* key, std::string_view value) {
    out.append(",\"").append(key).append("\":");
    out.append(json_string(value));
  };
  out.append("{\"path\":");
  out.append(json_string(path));
  text("type", files::type_name(row.type));
  std::string mode;
  files::append_mode(mode, row.mode);
  text("mode", mode);
  number("nlink", std::uint64_t{row.num_links});
  text("user", users_.name(row.user));
  text("group", groups_.name(row.group));
  number("size", row.size);
  number("blocks", row.blocks);
  number("mtime_ns", row.seconds * 1'000'000'000 + static_cast<std::int64_t>(row.nanoseconds));
  number("inode", row.inode);
  if (row.type == DT_LNK) text("target", rows.link(row));
  out.append("}\n");
}

}  // namespace

int run_ls(int argc, char** argv) {
  raise_descriptor_limit();
  std::setlocale(LC_ALL, "");
  tzset();
  Program program("madang-ls", kUsage, kSeriousTrouble);
  return Ls(program, parse(program, argc, argv)).run();
}

}  // namespace madang::commands

int main(int argc, char** argv) { return madang::commands::run_ls(argc, argv); }
