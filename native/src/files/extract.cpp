#include "extract.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "exclude.hpp"
#include "extractor.hpp"
#include "member_reader.hpp"

namespace madang::files {
namespace {

constexpr std::size_t kPortion = 256 * 1024;        // bytes that are read at a time, before others write them
constexpr std::uint64_t kReadWhole = 1024 * 1024;   // contents up to that are read before they are written
constexpr std::size_t kGroup = 16;                  // members of one task, where none has to be waited for
constexpr std::size_t kMostLinks = 100'000;

struct Item {
  ArchivedMember found;
  std::string name;       // beneath the target
  std::string link_name;  // of a hard link
};

// An archive that is being extracted.
struct Job {
  std::string archive;
  std::unique_ptr<MemberReader> reader;
  bool finished = false;
  // Waits until all before is made, and then goes on with what was read last.
  bool paused = false;
  std::unique_ptr<Item> next;
  std::unordered_set<std::uint64_t> names;  // hashes of what may be under way
  std::vector<Item> symbolic_links;
  std::vector<Item> hard_links;
};

class Extraction {
 public:
  Extraction(ExtractTarget& target, const ExtractOptions& options, const Run& run)
      : target(target), options(options), extractor(target, options, run), exclude(options.exclude), filter(options.members) {}

  // What a member is called beneath the target; false: it is not wanted, or refused.
  bool name_of(Lane& lane, Job& job, Item& item);
  bool wanted(const std::string& name) {
    if (!exclude.empty() && exclude.matches(name)) return false;
    std::lock_guard lock(mutex);
    return filter.wants(name);
  }
  void damaged(const std::string& archive, const std::string& sentence) {
    std::lock_guard lock(mutex);
    ++num_damaged;
    if (options.damaged) options.damaged(archive, sentence);
  }
  void removed_prefix(std::string_view prefix) {
    std::lock_guard lock(mutex);
    if (prefixes.insert(std::string(prefix)).second && options.removed_prefix) options.removed_prefix(std::string(prefix));
  }

  ExtractTarget& target;
  const ExtractOptions& options;
  Extractor extractor;
  const Exclude exclude;
  std::atomic<std::uint64_t> bytes_asked{0};

  std::mutex mutex;  // of what follows
  std::uint64_t num_damaged = 0;
  std::set<std::string> prefixes;
  MemberFilter filter;
  std::unordered_map<std::string, tar::Member> directories;  // to be finished
};

// Makes some members.
class MakeTask final : public Task {
 public:
  MakeTask(Extraction& extraction, const std::string& archive, std::vector<Item> items)
      : extraction_(extraction), archive_(archive), items_(std::move(items)) {}

  void run(Lane& lane) override {
    Extractor& extractor = extraction_.extractor;
    for (Item& item : items_) {
      if (lane.should_stop()) return;
      const tar::Member& member = item.found.member;
      switch (member.type) {
        case tar::kFile: extractor.make_file(lane, archive_, item.found, *item.found.content, item.name); break;
        case tar::kDirectory: extractor.make_directory(lane, archive_, member, item.name); break;
        case tar::kHardLink: extractor.make_hard_link(lane, archive_, member, item.name, item.link_name); break;
        default: extractor.make_other(lane, archive_, member, item.name);
      }
      item = Item();  // its content is let go
    }
  }

 private:
  Extraction& extraction_;
  const std::string& archive_;
  std::vector<Item> items_;
};

std::vector<std::unique_ptr<Task>> grouped(Extraction& extraction, const std::string& archive, std::vector<Item> items,
                                           std::size_t size) {
  std::vector<std::unique_ptr<Task>> tasks;
  for (std::size_t at = 0; at < items.size(); at += size) {
    const auto begin = items.begin() + static_cast<std::ptrdiff_t>(at);
    const auto end = items.begin() + static_cast<std::ptrdiff_t>(std::min(items.size(), at + size));
    tasks.push_back(std::make_unique<MakeTask>(
        extraction, archive, std::vector<Item>(std::make_move_iterator(begin), std::make_move_iterator(end))));
  }
  return tasks;
}

// Takes leading parts away; false when nothing is left.
bool strip(std::string& name, unsigned components) {
  for (; components != 0; --components) {
    const std::size_t slash = name.find('/');
    if (slash == std::string::npos) return false;
    name.erase(0, slash + 1);
  }
  return !name.empty();
}

bool Extraction::name_of(Lane& lane, Job& job, Item& item) {
  const tar::Member& member = item.found.member;
  if (!wanted(member.name)) {
    extractor.tell(lane, job.archive, member, Extracted::left_out);
    return false;
  }
  if (!split_name(member.name, item.name)) {
    extractor.refuse(job.archive, member.name, "Member name contains '..'");
    return false;
  }
  if (member.name[0] == '/') removed_prefix("/");
  if (!strip(item.name, options.strip_components)) {
    extractor.tell(lane, job.archive, member, Extracted::left_out);
    return false;
  }
  if (member.type == tar::kHardLink) {
    if (!split_name(member.link, item.link_name) || !strip(item.link_name, options.strip_components)) {
      extractor.refuse(job.archive, member.name, "it is a hard link to '" + member.link + "', which is not in the archive");
      return false;
    }
  }
  return true;
}

// Reads a portion of an archive, hands it to others, and reads on when somebody has time.
class ReadTask final : public Task {
 public:
  ReadTask(Extraction& extraction, Job& job) : extraction_(extraction), job_(job) {}

  void run(Lane& lane) override {
    std::vector<Item> items;
    try {
      read(lane, items);
    } catch (const ArchiveError& error) {
      extraction_.damaged(job_.archive, error.what());
      job_.finished = true;
    }
    if (lane.crew().stopped()) return;
    // First, so that this lane comes to it last: others read on while it writes.
    if (!job_.finished && !job_.paused) lane.push(std::make_unique<ReadTask>(extraction_, job_));
    const std::size_t size = lane.crew().waits() ? 1 : kGroup;
    for (auto& task : grouped(extraction_, job_.archive, std::move(items), size)) lane.push(std::move(task));
  }

 private:
  void read(Lane& lane, std::vector<Item>& items) {
    std::size_t bytes = 0;
    while (bytes < kPortion && items.size() < lane.crew().batch_size() && !lane.should_stop()) {
      Item item;
      if (job_.next) {
        item = std::move(*job_.next);
        job_.next.reset();
      } else {
        lane.request();
        if (!job_.reader->next(item.found)) {
          job_.finished = true;
          return;
        }
        if (!extraction_.name_of(lane, job_, item)) continue;
      }
      const bool many_links = job_.hard_links.size() + job_.symbolic_links.size() >= kMostLinks;
      if (!is_new(item) || many_links) {  // what comes later replaces what came before, so it must be there
        job_.next = std::make_unique<Item>(std::move(item));
        job_.paused = true;
        return;
      }
      bytes += take(lane, std::move(item), items);
    }
  }

  bool is_new(const Item& item) {
    const std::uint64_t hash = std::hash<std::string>()(item.name);
    if (item.found.member.type == tar::kDirectory) return job_.names.count(hash) == 0;
    return job_.names.insert(hash).second;
  }

  // Returns how many bytes it holds.
  std::size_t take(Lane& lane, Item item, std::vector<Item>& items) {
    const ExtractOptions& options = extraction_.options;
    tar::Member& member = item.found.member;
    switch (member.type) {
      case tar::kFile: return take_file(lane, std::move(item), items);
      case tar::kDirectory:
        extraction_.target.declare(item.name, member.mode);
        {
          std::lock_guard lock(extraction_.mutex);
          if (!options.dry_run) extraction_.directories.insert_or_assign(item.name, member);
        }
        items.push_back(std::move(item));
        return 0;
      case tar::kSymbolicLink: job_.symbolic_links.push_back(std::move(item)); return 0;
      case tar::kHardLink: job_.hard_links.push_back(std::move(item)); return 0;
      case tar::kFifo:
      case tar::kCharacterDevice:
      case tar::kBlockDevice: items.push_back(std::move(item)); return 0;
      default:
        extraction_.extractor.refuse(job_.archive, member.name,
                                     std::string("its type '") + member.type + "' is not known; left out");
        return 0;
    }
  }

  std::size_t take_file(Lane& lane, Item item, std::vector<Item>& items) {
    const ExtractOptions& options = extraction_.options;
    const std::uint64_t size = item.found.member.size;
    const std::uint64_t sum = extraction_.bytes_asked.fetch_add(size) + size;
    if (options.max_bytes != 0 && (sum > options.max_bytes || size > options.max_bytes)) {
      throw ArchiveError("with " + item.found.member.name + " it would be more than " +
                         std::to_string(options.max_bytes) + " bytes (--max-bytes)");
    }
    if (item.found.content) {
      items.push_back(std::move(item));
      return 0;
    }
    const std::uint64_t stored = item.found.stored;
    if (stored > kReadWhole) {
      // Of what follows nothing can be read before that is.
      extraction_.extractor.make_file(lane, job_.archive, item.found, job_.reader->content(), item.name);
      return 0;
    }
    std::string content(static_cast<std::size_t>(stored), '\0');
    try {
      job_.reader->content().read_fully(content.data(), content.size());
    } catch (const ArchiveError& error) {
      throw ArchiveError(std::string(error.what()) + ", in " + item.found.member.name);
    }
    item.found.content = std::make_unique<MemorySource>(std::move(content));
    items.push_back(std::move(item));
    return static_cast<std::size_t>(stored);
  }

  Extraction& extraction_;
  Job& job_;
};

class FinishTask final : public Task {
 public:
  using Entry = std::pair<const std::string, tar::Member>;
  FinishTask(Extraction& extraction, std::vector<const Entry*> entries)
      : extraction_(extraction), entries_(std::move(entries)) {}
  void run(Lane& lane) override {
    for (const Entry* entry : entries_) {
      if (!lane.should_stop()) extraction_.extractor.finish_directory(lane, entry->second, entry->first);
    }
  }

 private:
  Extraction& extraction_;
  std::vector<const Entry*> entries_;
};

bool make_links(Crew& crew, const Run& run, Extraction& extraction, Job& job) {
  for (auto& task : grouped(extraction, job.archive, std::move(job.symbolic_links), kGroup)) crew.add(std::move(task));
  job.symbolic_links.clear();
  if (!run_crew(crew, run)) return false;
  // A link to what is a link itself, is one to that one's target: then their order means nothing.
  std::unordered_map<std::string, std::string> targets;
  for (Item& item : job.hard_links) {
    const auto found = targets.find(item.link_name);
    if (found != targets.end()) item.link_name = found->second;
    targets.emplace(item.name, item.link_name);
  }
  for (auto& task : grouped(extraction, job.archive, std::move(job.hard_links), kGroup)) crew.add(std::move(task));
  job.hard_links.clear();
  return run_crew(crew, run);
}

// Deepest first: what is above may be closed to us afterwards.
bool finish_directories(Crew& crew, const Run& run, Extraction& extraction) {
  std::map<long, std::vector<const FinishTask::Entry*>> levels;
  for (const auto& entry : extraction.directories) {
    levels[-std::count(entry.first.begin(), entry.first.end(), '/')].push_back(&entry);
  }
  for (auto& [depth, entries] : levels) {
    for (std::size_t at = 0; at < entries.size(); at += kGroup) {
      const auto begin = entries.begin() + static_cast<std::ptrdiff_t>(at);
      const auto end = entries.begin() + static_cast<std::ptrdiff_t>(std::min(entries.size(), at + kGroup));
      crew.add(std::make_unique<FinishTask>(extraction, std::vector<const FinishTask::Entry*>(begin, end)));
    }
    if (!run_crew(crew, run)) return false;
  }
  return true;
}

bool extract_all(Crew& crew, const Run& run, Extraction& extraction, std::vector<Job>& jobs, const Progress& totals) {
  for (;;) {
    bool any = false;
    for (Job& job : jobs) {
      if (job.finished) continue;
      any = true;
      job.paused = false;
      job.names.clear();
      crew.add(std::make_unique<ReadTask>(extraction, job));
    }
    if (!any) return true;
    if (!run_crew(crew, run, totals)) return false;
    for (Job& job : jobs) {
      if (!make_links(crew, run, extraction, job)) return false;
    }
  }
}

}  // namespace

bool MemberFilter::wants(std::string_view name) {
  if (names_.empty()) return true;
  const auto without_slash = [](std::string_view text) {
    while (text.size() > 1 && text.back() == '/') text.remove_suffix(1);
    return text;
  };
  name = without_slash(name);
  bool wanted = false;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const std::string_view one = without_slash(names_[i]);
    if (name.substr(0, one.size()) != one || (name.size() != one.size() && name[one.size()] != '/')) continue;
    found_[i] = true;
    wanted = true;
  }
  return wanted;
}

std::vector<std::string> MemberFilter::not_found() const {
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (!found_[i]) missing.push_back(names_[i]);
  }
  return missing;
}

ExtractResult extract(const std::vector<ArchiveFile>& archives, const ExtractOptions& options, const Run& run) {
  ExtractResult result;
  ExtractTarget target(options.directory, !options.dry_run);
  if (!options.dry_run && !target.is_open()) {
    Failures(run).add("Cannot open", options.directory, errno);
    result.failures = 1;
    result.complete = false;
    return result;
  }
  Crew crew(crew_options(run));
  Extraction extraction(target, options, run);
  std::vector<Job> jobs;
  Progress totals;
  for (const ArchiveFile& archive : archives) {
    Job job;
    job.archive = archive.name;
    try {
      job.reader = open_archive(archive.fd);
      totals.total_bytes += job.reader->total_bytes();
      if (options.max_bytes != 0 && job.reader->total_bytes() > options.max_bytes) {
        throw ArchiveError("its files have " + std::to_string(job.reader->total_bytes()) + " bytes, more than " +
                           std::to_string(options.max_bytes) + " (--max-bytes); nothing of it is extracted");
      }
      jobs.push_back(std::move(job));
    } catch (const ArchiveError& error) {
      extraction.damaged(archive.name, error.what());
    }
  }
  if (jobs.size() != archives.size() || archives.size() != 1) totals.total_bytes = 0;  // not of all
  result.complete = extract_all(crew, run, extraction, jobs, totals) && finish_directories(crew, run, extraction);
  extraction.extractor.add_to(result);
  result.damaged = extraction.num_damaged;
  result.not_found = extraction.filter.not_found();
  return result;
}

void list_archive(int fd, const std::function<void(const tar::Member&)>& member) {
  const std::unique_ptr<MemberReader> reader = open_archive(fd);
  ArchivedMember found;
  while (reader->next(found)) member(found.member);
}

}  // namespace madang::files
