// What a copy removes: what killed ones have left and, where asked for, what the source has not.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "copy_operation.hpp"

namespace madang::files {

int remove_tree(Lane& lane, int dir_fd, const char* name, bool is_directory) {
  lane.request();
  if (!is_directory) {
    return unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT ? 0 : errno;
  }
  int first_error = 0;
  {
    const Descriptor opened = open_patiently(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!opened) return errno == ENOENT ? 0 : errno;
    std::vector<std::pair<std::string, bool>> names;
    DirectoryReader reader;
    first_error = reader.read(opened.get(), [&](const DirectoryReader::Record& record) {
      unsigned char type = record.type;
      struct statx status;
      if (type == DT_UNKNOWN && status_of(opened.get(), record.name.data(), STATX_TYPE, status) == 0) {
        type = type_of(status);
      }
      names.emplace_back(record.name, type == DT_DIR);
    });
    for (const auto& [inner, is_inner_directory] : names) {
      if (lane.should_stop()) return ECANCELED;
      const int error = remove_tree(lane, opened.get(), inner.c_str(), is_inner_directory);
      if (first_error == 0) first_error = error;
    }
  }
  if (first_error != 0) return first_error;
  lane.request();
  return unlinkat(dir_fd, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : errno;
}

class RemoveTask final : public Task {
 public:
  RemoveTask(Copy& copy, Directory& directory, Handle dir, std::string name, unsigned char type)
      : copy_(copy), held_(directory.begin_work()), dir_(std::move(dir)), name_(std::move(name)), type_(type) {}

  void run(Lane& lane) override {
    copy_.remove_extra(lane, dir_, name_, type_, Copy::target_path(*held_, name_));
    dir_ = Handle();
    held_->end_work(lane);
  }

 private:
  Copy& copy_;
  Directory::Pointer held_;
  Handle dir_;
  std::string name_;
  unsigned char type_;
};

// Lets go what killed copies have left and, where asked for, what the source has not.
void Copy::tidy(Lane& lane, Directory& directory, Target& target) {
  if (!options_.resume && !options_.remove_extra) return;
  std::vector<std::pair<std::string, unsigned char>> extra;
  target.listing->each_unseen([&](const std::string& name, unsigned char type) {
    const bool is_part = name.starts_with(PartName::kPrefix);
    if (is_part ? PartName::is_dead(name)
                : options_.remove_extra && !exclude_.matches(target_path(directory, name))) {
      extra.emplace_back(name, type);
    }
  });
  for (const auto& [name, type] : extra) {
    lane.push(std::make_unique<RemoveTask>(*this, directory, target.handle, name, type));
  }
}

void Copy::remove_extra(Lane& lane, const Handle& dir, const std::string& name, unsigned char type,
                        const std::string& path) {
  if (!options_.dry_run) {
    const int error = remove_tree(lane, dir.fd(), name.c_str(), type == DT_DIR);
    if (error == ECANCELED) return;
    if (error != 0) return failures_.add("cannot remove", path, error);
  }
  removed_.fetch_add(1, std::memory_order_relaxed);
  lane.done().add(1);
  if (options_.done) options_.done(lane, {CopyEvent::Action::removed, "", path, type});
}

}  // namespace madang::files
