// madang-tar: makes, lists and extracts tar archives as tar does, with many requests at a time.

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <map>

#include "../files/archive.hpp"
#include "../files/byte_source.hpp"
#include "../files/exclude.hpp"
#include "../files/extract.hpp"
#include "archives.hpp"
#include "tar_arguments.hpp"
#include "member_text.hpp"

namespace madang::commands {
namespace {

constexpr int kDiffers = 1;  // GNU's tar: some files vanished or changed
constexpr int kFatal = 2;    // something is missing

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

int not_found(Program& program, const std::vector<std::string>& names) {
  for (const std::string& name : names) program.complain(escaped(name) + ": Not found in archive");
  if (names.empty()) return 0;
  program.complain("Exiting with failure status due to previous errors");
  return kFatal;
}

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
  MemberOutput output(false, arguments.verbose, arguments.numeric_owner, to_standard_output ? 2 : 1);
  if (arguments.verbose) {
    options.added = [&](const files::tar::Member& member) { output.add(member, "", ""); };
  }
  Directories directories(program);
  std::vector<files::ArchiveRoot> roots;
  for (const TarName& name : arguments.names) roots.push_back({name.path, directories.of(name.directory)});

  stop_on_signals();
  const files::Run run = archive_run(program);
  const files::Archived result = to_standard_output ? files::archive_to(1, "", roots, options, run)
                                                    : files::archive(arguments.file, roots, options, run);
  output.flush();
  program.exit_code();  // takes the line of progress away
  end_on_signal();
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

int fatal(Program& program, const std::string& file, const std::string& reason) {
  program.complain(escaped(file) + ": " + reason);
  program.complain("Error is not recoverable: exiting now");
  program.exit_code();
  return kFatal;
}

// Standard input, or the file; empty: a sentence was said.
Descriptor open_input(Program& program, const std::string& file) {
  Descriptor opened(file == "-" ? dup(0) : open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!opened) fatal(program, file, std::string("Cannot open: ") + strerror(errno));
  return opened;
}

int list(Program& program, const TarArguments& arguments) {
  const Descriptor input = open_input(program, arguments.file);
  if (!input) return kFatal;
  MemberOutput output(arguments.json_lines, arguments.verbose + 1, arguments.numeric_owner);
  const files::Exclude exclude(arguments.exclude);
  files::MemberFilter filter(arguments.member_names());
  std::string damage;
  try {
    files::list_archive(input.get(), [&](const files::tar::Member& member) {
      if (filter.wants(member.name) && !exclude.matches(member.name)) output.add(member, "", "");
    });
  } catch (const files::ArchiveError& error) {
    damage = error.what();
  }
  output.flush();
  if (!damage.empty()) return fatal(program, arguments.file, escaped(damage));
  return not_found(program, filter.not_found());
}

int extract(Program& program, const TarArguments& arguments) {
  const Descriptor input = open_input(program, arguments.file);
  if (!input) return kFatal;
  const bool root = geteuid() == 0;
  files::ExtractOptions options;
  options.directory = arguments.directory.empty() ? "." : arguments.directory;
  options.strip_components = arguments.strip_components;
  options.members = arguments.member_names();
  options.exclude = arguments.exclude;
  options.keep_old = arguments.keep_old;
  options.resume = arguments.resume;
  options.verify = arguments.verify;
  options.dry_run = arguments.dry_run;
  options.same_owner = arguments.same_owner.value_or(root);
  options.numeric_owner = arguments.numeric_owner;
  options.to_the_letter = arguments.to_the_letter || root;
  options.devices = root;
  options.xattrs = arguments.xattrs;
  options.acls = arguments.acls;
  options.set_mtime = !arguments.no_mtime;
  options.max_bytes = arguments.max_bytes;
  MemberOutput output(arguments.json_lines, arguments.verbose + (arguments.dry_run ? 1 : 0), arguments.numeric_owner);
  connect(program, output, false, options);
  stop_on_signals();
  const files::ExtractResult result = files::extract({{arguments.file, input.get()}}, options, archive_run(program));
  output.flush();
  program.exit_code();
  end_on_signal();
  const int missing = not_found(program, result.not_found);
  if (missing != 0) return missing;
  if (result.failures == 0 && result.damaged == 0 && result.complete) return 0;
  program.complain("Exiting with failure status due to previous errors");
  return kFatal;
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
    case TarMode::list: return list(program, arguments);
    default: return extract(program, arguments);
  }
}
