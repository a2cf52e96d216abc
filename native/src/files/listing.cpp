#include "listing.hpp"

#include <cerrno>
#include <memory>

namespace madang::files {
namespace {

constexpr std::size_t kBatchEntries = 4096;

unsigned mask_of(const Columns& columns) {
  unsigned mask = 0;
  if (columns.sizes) mask |= STATX_SIZE;
  if (columns.blocks) mask |= STATX_BLOCKS;
  if (columns.mtimes_ns) mask |= STATX_MTIME;
  if (columns.modes) mask |= STATX_MODE;
  if (columns.users) mask |= STATX_UID;
  if (columns.groups) mask |= STATX_GID;
  if (columns.num_links) mask |= STATX_NLINK;
  if (columns.inodes) mask |= STATX_INO;
  return mask;
}

// Gone, or replaced by something else, since its name was read.
bool vanished(int error) { return error == ENOENT || error == ENOTDIR || error == ELOOP; }

class ListTree final : public Operation {
 public:
  ListTree(const Run& run, const Columns& columns, const TakeBatch& take)
      : columns_(columns), mask_(mask_of(columns)), take_(take), failures_(run), batches_(Crew::kMaxLanes) {}

  bool entry(Lane& lane, Directory& directory, int fd, const Entry& entry,
             std::unique_ptr<DirectoryState>&) override {
    struct statx status {};
    unsigned char type = entry.type;
    if (mask_ != 0 || type == DT_UNKNOWN) {
      lane.request();
      const int error = status_of(fd, entry.name, mask_ | STATX_TYPE, status);
      if (error != 0) {
        if (!vanished(error)) failures_.add("cannot access", directory.path_of(entry.view()), error);
        return false;
      }
      type = type_of(status);
    }
    lane.done().add(1);
    Batch& batch = batch_of(lane);
    add(batch, directory, entry, type, status);
    if (batch.size() >= kBatchEntries) hand_over(lane.index(), batch);
    return type == DT_DIR;
  }

  void failed(Lane&, Directory& directory, Stage, int error) override {
    if (directory.depth() == 0 || !vanished(error)) failures_.add("cannot open directory", directory.path(), error);
  }

  bool shares_directories() const override { return mask_ != 0; }

  void hand_over_rest() {
    for (unsigned lane = 0; lane < batches_.size(); ++lane) {
      if (batches_[lane] && batches_[lane]->size() != 0) hand_over(lane, *batches_[lane]);
    }
  }

 private:
  Batch& batch_of(Lane& lane) {
    std::unique_ptr<Batch>& batch = batches_[lane.index()];
    if (!batch) batch = std::make_unique<Batch>();
    return *batch;
  }

  void hand_over(unsigned lane, Batch& batch) {
    take_(lane, batch);
    batch = Batch();
  }

  void add(Batch& batch, const Directory& directory, const Entry& entry, unsigned char type,
           const struct statx& status) const {
    if (!directory.path().empty()) batch.paths.append(directory.path()).push_back('/');
    batch.paths.append(entry.view());
    batch.offsets.push_back(batch.paths.size());
    batch.types.push_back(type);
    if (columns_.sizes) batch.sizes.push_back(status.stx_size);
    if (columns_.blocks) batch.blocks.push_back(status.stx_blocks);
    if (columns_.mtimes_ns) {
      batch.mtimes_ns.push_back(status.stx_mtime.tv_sec * 1'000'000'000 + status.stx_mtime.tv_nsec);
    }
    if (columns_.modes) batch.modes.push_back(status.stx_mode & 07777);
    if (columns_.users) batch.users.push_back(status.stx_uid);
    if (columns_.groups) batch.groups.push_back(status.stx_gid);
    if (columns_.num_links) batch.num_links.push_back(status.stx_nlink);
    if (columns_.inodes) batch.inodes.push_back(status.stx_ino);
  }

  const Columns columns_;
  const unsigned mask_;
  const TakeBatch& take_;
  Failures failures_;
  std::vector<std::unique_ptr<Batch>> batches_;  // of each lane
};

}  // namespace

bool list_tree(const Run& run, int root_fd, const Columns& columns, const TakeBatch& take) {
  if (fcntl(root_fd, F_GETFD) < 0) {  // before something else is opened under its number
    Failures(run).add("cannot open directory", "", errno);
    return true;
  }
  Crew crew(crew_options(run));
  ListTree operation(run, columns, take);
  Walk walk(crew, operation);
  walk.add_open(root_fd);
  const bool finished = run_crew(crew, run);
  operation.hand_over_rest();
  return finished;
}

}  // namespace madang::files
