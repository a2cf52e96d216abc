// madang-tar: makes, lists and extracts tar archives as tar does, with many requests at a time.

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "../files/archive.hpp"
#include "tar_arguments.hpp"
#include "tar_text.hpp"

namespace madang::commands {
namespace {

constexpr int kDiffers = 1;  // GNU's tar: some files vanished or changed
constexpr int kFatal = 2;    // something is missing

volatile sig_atomic_t caught_signal = 0;

// A first signal lets what is unfinished be removed; a second one ends at once.
void stop_on_signals() {
  struct sigaction action{};
  action.sa_handler = [](int signal) { caught_signal = signal; };
  action.sa_flags = SA_RESETHAND;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

files::Run run_of(Program& program) {
  files::Run run = program.run();
  run.failed = [&program](const files::Failure& failure) {
    program.complain(escaped(failure.path) + ": " + failure.action + ": " + strerror(failure.error));
  };
  run.poll = [poll = run.poll](const files::Progress& progress) {
    if (poll) poll(progress);
    return caught_signal != 0;
  };
  return run;
}

void tell(Program& program, files::Notice notice, const std::string& path, std::uint64_t count) {
  const std::string name = escaped(path);
  switch (notice) {
    case files::Notice::socket: program.complain(name + ": socket ignored"); break;
    case files::Notice::is_the_archive: program.complain(name + ": file is the archive; not dumped"); break;
    case files::Notice::vanished: program.complain(name + ": File removed before we read it"); break;
    case files::Notice::changed: program.complain(name + ": file changed as we read it"); break;
    case files::Notice::shrank:
      program.complain(name + ": File shrank by " + std::to_string(count) + (count == 1 ? " byte" : " bytes") +
                       "; padding with zeros");
      break;
    case files::Notice::other_filesystem:
      program.complain(name + ": file is on a different filesystem; not dumped");
      break;
    case files::Notice::removed_prefix:
      program.complain("Removing leading `" + name + "' from member names");
      break;
    case files::Notice::removed_link_prefix:
      program.complain("Removing leading `" + name + "' from hard link targets");
      break;
    case files::Notice::unreadable_attributes:
      program.complain(name + ": Cannot read its attributes; stored without them");
      break;
  }
}

// Of each -C that is used, open. Ends the program where one can't be opened.
class Directories {
 public:
  explicit Directories(Program& program) : program_(program) {}
  int of(const std::string& path) {
    if (path.empty()) return AT_FDCWD;
    Descriptor& opened = opened_[path];
    if (!opened) opened = Descriptor(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened) {
      program_.complain(escaped(path) + ": Cannot open: " + strerror(errno));
      program_.complain("Error is not recoverable: exiting now");
      program_.exit_code();
      std::exit(kFatal);
    }
    return opened.get();
  }

 private:
  Program& program_;
  std::map<std::string, Descriptor> opened_;
};

int create(Program& program, const TarArguments& arguments) {
  if (arguments.names.empty()) program.misused("Cowardly refusing to create an empty archive");
  const bool to_standard_output = arguments.file == "-";
  if (to_standard_output && isatty(1)) program.misused("Refusing to write archive contents to terminal (missing -f option?)");
  files::ArchiveOptions options;
  options.compression = arguments.compression.value_or(files::Compression::none);
  options.level = arguments.level;
  options.recursive = arguments.recursive;
  options.one_file_system = arguments.one_file_system;
  options.sort_by_name = arguments.sort_by_name;
  options.follow_links = arguments.follow_links;
  options.absolute_names = arguments.absolute_names;
  options.numeric_owner = arguments.numeric_owner;
  options.xattrs = arguments.xattrs;
  options.acls = arguments.acls;
  options.exclude = arguments.exclude;
  options.mtime_s = arguments.mtime_s;
  options.owner = arguments.owner;
  options.group = arguments.group;
  options.noticed = [&](files::Notice notice, const std::string& path, std::uint64_t count) {
    tell(program, notice, path, count);
  };
  std::string names;
  const auto write_names = [&] {
    for (std::string_view rest = names; !rest.empty();) {
      const ssize_t written = ::write(to_standard_output ? 2 : 1, rest.data(), rest.size());
      if (written < 0 && errno != EINTR) break;
      if (written > 0) rest.remove_prefix(static_cast<std::size_t>(written));
    }
    names.clear();
  };
  if (arguments.verbose) {
    options.added = [&](const std::string& name) {
      names += escaped(name) + "\n";
      if (names.size() > 32 * 1024) write_names();
    };
  }
  Directories directories(program);
  std::vector<files::ArchiveRoot> roots;
  for (const TarName& name : arguments.names) roots.push_back({name.path, directories.of(name.directory)});

  stop_on_signals();
  const files::Run run = run_of(program);
  const files::Archived result = to_standard_output ? files::archive_to(1, "", roots, options, run)
                                                    : files::archive(arguments.file, roots, options, run);
  write_names();
  program.exit_code();  // takes the line of progress away
  if (caught_signal != 0) {
    raise(caught_signal);  // its handler is the ordinary one again
  }
  if (result.error != 0) {
    program.complain(escaped(arguments.file) + ": Cannot write: " + strerror(result.error));
    return kFatal;
  }
  if (result.failures != 0) {
    program.complain("Exiting with failure status due to previous errors");
    return kFatal;
  }
  return result.changed != 0 ? kDiffers : 0;
}

}  // namespace
}  // namespace madang::commands

using namespace madang::commands;

int main(int count, char** words) {
  Program program("madang-tar", kTarHelp, kSeriousTrouble);
  const TarArguments arguments = tar_arguments(program, count, words);
  raise_descriptor_limit();
  switch (arguments.mode) {
    case TarMode::create: return create(program, arguments);
    default: program.misused("lists and extracts nothing in this version; use tar");
  }
}
