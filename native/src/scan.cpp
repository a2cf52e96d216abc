#include "scan.hpp"

#include <algorithm>
#include <string_view>

#include "files/listing.hpp"

namespace madang {
namespace {

struct Record {
  std::uint64_t path_offset;
  std::uint32_t path_bytes;
  std::uint32_t mode;
  std::uint64_t size;
  std::int64_t mtime_ns;
  std::uint8_t kind;
};

// What one lane has found; nobody else touches it before the end.
struct Findings {
  std::string arena;
  std::vector<Record> records;

  std::string_view path(const Record& record) const {
    return std::string_view(arena).substr(record.path_offset, record.path_bytes);
  }

  void take(const files::Batch& batch) {
    for (std::size_t entry = 0; entry < batch.size(); ++entry) {
      records.push_back({arena.size() + batch.offsets[entry],
                         static_cast<std::uint32_t>(batch.path(entry).size()), batch.modes[entry],
                         batch.sizes[entry], batch.mtimes_ns[entry], batch.types[entry]});
    }
    arena.append(batch.paths);
  }

  void sort() {
    std::sort(records.begin(), records.end(),
              [this](const Record& a, const Record& b) { return path(a) < path(b); });
  }
};

// Puts a record at the end of every column.
void append(Listing& listing, const Findings& findings, const Record& record) {
  listing.paths.append(findings.path(record));
  listing.offsets.push_back(listing.paths.size());
  listing.sizes.push_back(record.size);
  listing.mtimes_ns.push_back(record.mtime_ns);
  listing.kinds.push_back(record.kind);
  listing.modes.push_back(record.mode);
}

Listing reserve_for(const std::vector<Findings*>& parts) {
  std::size_t num_records = 0;
  std::size_t path_bytes = 0;
  for (const Findings* part : parts) {
    num_records += part->records.size();
    path_bytes += part->arena.size();
  }
  Listing listing;
  listing.paths.reserve(path_bytes);
  listing.offsets.reserve(num_records + 1);
  listing.offsets.push_back(0);
  listing.sizes.reserve(num_records);
  listing.mtimes_ns.reserve(num_records);
  listing.kinds.reserve(num_records);
  listing.modes.reserve(num_records);
  return listing;
}

// Merges the sorted parts. No path is in two of them.
Listing merge(const std::vector<Findings*>& parts) {
  struct Cursor {
    const Findings* part;
    std::size_t index;
    std::string_view path() const { return part->path(part->records[index]); }
  };
  const auto later = [](const Cursor& a, const Cursor& b) { return b.path() < a.path(); };

  Listing listing = reserve_for(parts);
  std::vector<Cursor> heap;
  for (Findings* part : parts) {
    if (!part->records.empty()) heap.push_back({part, 0});
  }
  std::make_heap(heap.begin(), heap.end(), later);
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    Cursor& first = heap.back();
    append(listing, *first.part, first.part->records[first.index]);
    if (++first.index < first.part->records.size()) {
      std::push_heap(heap.begin(), heap.end(), later);
    } else {
      heap.pop_back();
    }
  }
  return listing;
}

}  // namespace

Listing scan(int root_fd, unsigned num_threads, const std::function<bool()>& interrupted) {
  files::Run run;
  run.crew.jobs = num_threads;
  run.poll = [&](const files::Progress&) { return interrupted(); };
  std::vector<std::pair<std::string, int>> errors;
  run.failed = [&](const files::Failure& failure) { errors.emplace_back(failure.path, failure.error); };

  std::vector<Findings> found(files::Crew::kMaxLanes);
  const files::Columns columns{.sizes = true, .mtimes_ns = true, .modes = true};
  files::list_tree(run, root_fd, columns,
                   [&](unsigned lane, files::Batch& batch) { found[lane].take(batch); });

  std::vector<Findings*> parts;
  for (Findings& findings : found) {
    if (findings.records.empty()) continue;
    findings.sort();
    parts.push_back(&findings);
  }
  Listing listing = merge(parts);
  listing.errors = std::move(errors);
  std::sort(listing.errors.begin(), listing.errors.end());
  return listing;
}

}  // namespace madang
