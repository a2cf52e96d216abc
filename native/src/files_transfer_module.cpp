#include "files_transfer_module.hpp"

#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <mutex>
#include <utility>

#include "files/archive.hpp"
#include "files/copy.hpp"
#include "files/extract.hpp"
#include "files/sync.hpp"
#include "files_run.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace madang {
namespace {

files::Checksum to_checksum(const std::string& name) {
  return name == "xxh3"     ? files::Checksum::xxh3
         : name == "sha256" ? files::Checksum::sha256
                            : files::Checksum::none;
}

std::string to_string(const nb::bytes& text) { return {text.c_str(), text.size()}; }

// (files, directories, others, bytes, updated, skipped, removed, complete, failures)
nb::tuple to_tuple(const files::Copied& done, PythonRun& run) {
  return nb::make_tuple(done.files, done.directories, done.others, done.bytes, done.updated,
                        done.skipped, done.removed, done.complete, run.failures());
}

nb::tuple copy(const nb::list& sources, const nb::bytes& target, bool into_directory, bool recursive,
               bool preserve, bool resume, const std::string& verify, bool one_file_system,
               bool dry_run, bool to_disk, const std::vector<std::string>& exclude, unsigned jobs,
               double max_ops, nb::object progress) {
  files::CopyOptions options;
  options.recursive = recursive;
  options.resume = resume;
  options.one_file_system = one_file_system;
  options.dry_run = dry_run;
  options.sync = to_disk;
  options.exclude = exclude;
  options.content.verify = to_checksum(verify);
  if (preserve) {
    files::Preserve& all = options.preserve;
    all.mode = all.ownership = all.timestamps = all.links = all.xattrs = true;
  } else if (resume) {
    options.preserve.timestamps = true;  // by which a resumed copy knows what is done
  }
  const files::CopyTarget to{to_string(target), into_directory, !into_directory};
  const std::vector<std::string> from = to_paths(sources);
  PythonRun run(jobs, max_ops, std::move(progress));
  const files::Copied done =
      run.call([&](const files::Run& plain) { return files::copy(from, to, options, plain); });
  return to_tuple(done, run);
}

nb::tuple sync(const nb::bytes& source, const nb::bytes& target, bool compare_content,
               bool remove_extra, bool force, const std::string& verify, bool one_file_system,
               bool dry_run, bool to_disk, const std::vector<std::string>& exclude, unsigned jobs,
               double max_ops, nb::object progress) {
  files::SyncOptions options;
  options.compare_content = compare_content;
  options.remove_extra = remove_extra;
  options.force = force;
  options.one_file_system = one_file_system;
  options.dry_run = dry_run;
  options.sync = to_disk;
  options.exclude = exclude;
  options.content.verify = to_checksum(verify);
  const std::string from = to_string(source), to = to_string(target);
  PythonRun run(jobs, max_ops, std::move(progress));
  const files::Copied done =
      run.call([&](const files::Run& plain) { return files::sync(from, to, options, plain); });
  return to_tuple(done, run);
}

// (members, bytes, archive_bytes, changed, errno, complete, failures)
nb::tuple archive(int fd, const nb::list& paths, int at_fd, const std::string& compression, int level,
                  bool sort_by_name, bool one_file_system, bool xattrs, bool acls,
                  const std::vector<std::string>& exclude, unsigned jobs, double max_ops,
                  nb::object progress) {
  files::ArchiveOptions options;
  options.compression = compression == "gzip"   ? files::Compression::gzip
                        : compression == "zstd" ? files::Compression::zstd
                                                : files::Compression::none;
  options.level = level;
  options.sort_by_name = sort_by_name;
  options.one_file_system = one_file_system;
  options.xattrs = xattrs;
  options.acls = acls;
  options.exclude = exclude;
  std::vector<files::ArchiveRoot> roots;
  for (std::string& path : to_paths(paths)) roots.push_back({std::move(path), at_fd});
  PythonRun run(jobs, max_ops, std::move(progress));
  const files::Archived done = run.call(
      [&](const files::Run& plain) { return files::archive_to(fd, "", roots, options, plain); });
  return nb::make_tuple(done.members, done.bytes, done.archive_bytes, done.changed, done.error,
                        done.complete, run.failures());
}

// (members, bytes, same, left_out, complete, [(archive, member, sentence)], failures)
nb::tuple extract(const nb::list& archives, const nb::bytes& directory, unsigned strip_components,
                  bool keep_old, bool resume, bool verify, bool dry_run, bool same_owner, bool to_the_letter,
                  std::uint64_t max_bytes, const std::vector<std::string>& exclude, unsigned jobs,
                  double max_ops, nb::object progress) {
  std::mutex mutex;
  std::vector<std::tuple<std::string, std::string, std::string>> refused;
  files::ExtractOptions options;
  options.directory = to_string(directory);
  options.strip_components = strip_components;
  options.keep_old = keep_old;
  options.resume = resume;
  options.verify = verify;
  options.dry_run = dry_run;
  options.same_owner = same_owner;
  options.to_the_letter = to_the_letter;
  options.max_bytes = max_bytes;
  options.exclude = exclude;
  options.refused = [&](const std::string& name, const std::string& member, const std::string& why) {
    std::lock_guard lock(mutex);
    refused.emplace_back(name, member, why);
  };
  options.damaged = [&](const std::string& name, const std::string& why) {
    std::lock_guard lock(mutex);
    refused.emplace_back(name, "", why);
  };
  std::vector<files::ArchiveFile> opened;
  for (nb::handle item : archives) {
    const auto pair = nb::cast<nb::tuple>(item);
    opened.push_back({to_string(nb::cast<nb::bytes>(pair[0])), nb::cast<int>(pair[1])});
  }
  PythonRun run(jobs, max_ops, std::move(progress));
  const files::ExtractResult done =
      run.call([&](const files::Run& plain) { return files::extract(opened, options, plain); });
  nb::list told;
  for (const auto& [name, member, why] : refused) {
    told.append(nb::make_tuple(nb::bytes(name.data(), name.size()),
                               nb::bytes(member.data(), member.size()), nb::bytes(why.data(), why.size())));
  }
  return nb::make_tuple(done.members, done.bytes, done.same, done.left_out, done.complete, told,
                        run.failures());
}

}  // namespace

void add_file_transfers(nb::module_& module) {
  module.def("copy", &copy, "sources"_a, "target"_a, "into_directory"_a, "recursive"_a, "preserve"_a,
             "resume"_a, "verify"_a, "one_file_system"_a, "dry_run"_a, "to_disk"_a, "exclude"_a,
             "jobs"_a, "max_ops"_a, "progress"_a.none());
  module.def("sync", &sync, "source"_a, "target"_a, "compare_content"_a, "remove_extra"_a, "force"_a,
             "verify"_a, "one_file_system"_a, "dry_run"_a, "to_disk"_a, "exclude"_a, "jobs"_a,
             "max_ops"_a, "progress"_a.none());
  module.def("archive", &archive, "fd"_a, "paths"_a, "at_fd"_a, "compression"_a, "level"_a,
             "sort_by_name"_a, "one_file_system"_a, "xattrs"_a, "acls"_a, "exclude"_a, "jobs"_a,
             "max_ops"_a, "progress"_a.none());
  module.def("extract", &extract, "archives"_a, "directory"_a, "strip_components"_a, "keep_old"_a,
             "resume"_a, "verify"_a, "dry_run"_a, "same_owner"_a, "to_the_letter"_a, "max_bytes"_a,
             "exclude"_a, "jobs"_a, "max_ops"_a, "progress"_a.none());
}

}  // namespace madang
