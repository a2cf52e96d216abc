#include "files_module.hpp"

#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <optional>

#include "files/attributes.hpp"
#include "files/remove.hpp"
#include "files_run.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace madang {
namespace {

// (files, directories, complete, failures)
nb::tuple remove(const nb::list& paths, bool recursive, bool missing_ok, bool one_file_system,
                 bool dry_run, const std::vector<std::string>& exclude, int at_fd, unsigned jobs,
                 double max_ops, nb::object progress) {
  files::RemoveOptions options;
  options.recursive = recursive;
  options.missing_is_fine = missing_ok;
  options.one_file_system = one_file_system;
  options.dry_run = dry_run;
  options.exclude = exclude;
  PythonRun run(jobs, max_ops, std::move(progress));
  const std::vector<std::string> names = to_paths(paths);
  const files::Removed done = run.call(
      [&](const files::Run& plain) { return files::remove(names, options, plain, at_fd); });
  return nb::make_tuple(done.files, done.directories, done.complete, run.failures());
}

files::ChangeOptions change_options(bool recursive, bool one_file_system, bool dry_run,
                                    const std::vector<std::string>& exclude) {
  files::ChangeOptions options;
  options.recursive = recursive;
  options.one_file_system = one_file_system;
  options.dry_run = dry_run;
  options.exclude = exclude;
  options.wants_old = true;
  return options;
}

// (changed, retained, complete, failures)
nb::tuple to_tuple(const files::Changed& done, PythonRun& run) {
  return nb::make_tuple(done.changed, done.retained, done.complete, run.failures());
}

nb::tuple change_mode(const nb::list& paths, const std::string& mode, unsigned mask, bool recursive,
                      bool one_file_system, bool dry_run, const std::vector<std::string>& exclude,
                      int at_fd, unsigned jobs, double max_ops, nb::object progress) {
  const auto change = files::ModeChange::parse(mode, mask);
  if (!change) throw nb::value_error("invalid mode");
  PythonRun run(jobs, max_ops, std::move(progress));
  const std::vector<std::string> names = to_paths(paths);
  const files::ChangeOptions options = change_options(recursive, one_file_system, dry_run, exclude);
  return to_tuple(run.call([&](const files::Run& plain) {
                    return files::change_mode(names, *change, options, plain, {}, at_fd);
                  }),
                  run);
}

nb::tuple change_owner(const nb::list& paths, std::optional<unsigned> user,
                       std::optional<unsigned> group, bool recursive, bool follow_links,
                       bool one_file_system, bool dry_run, const std::vector<std::string>& exclude,
                       int at_fd, unsigned jobs, double max_ops, nb::object progress) {
  PythonRun run(jobs, max_ops, std::move(progress));
  const std::vector<std::string> names = to_paths(paths);
  files::OwnerOptions options;
  static_cast<files::ChangeOptions&>(options) =
      change_options(recursive, one_file_system, dry_run, exclude);
  options.links_themselves = !follow_links;
  const files::Owner owner{user, group};
  return to_tuple(run.call([&](const files::Run& plain) {
                    return files::change_owner(names, owner, options, plain, {}, at_fd);
                  }),
                  run);
}

}  // namespace

void add_files(nb::module_& module) {
  module.def("remove", &remove, "paths"_a, "recursive"_a, "missing_ok"_a, "one_file_system"_a,
             "dry_run"_a, "exclude"_a, "at_fd"_a, "jobs"_a, "max_ops"_a, "progress"_a.none());
  module.def("change_mode", &change_mode, "paths"_a, "mode"_a, "mask"_a, "recursive"_a,
             "one_file_system"_a, "dry_run"_a, "exclude"_a, "at_fd"_a, "jobs"_a, "max_ops"_a,
             "progress"_a.none());
  module.def("change_owner", &change_owner, "paths"_a, "user"_a.none(), "group"_a.none(),
             "recursive"_a, "follow_links"_a, "one_file_system"_a, "dry_run"_a, "exclude"_a,
             "at_fd"_a, "jobs"_a, "max_ops"_a, "progress"_a.none());
}

}  // namespace madang
