// In a job of the platform: tells it how far the command is, for the job's page.
#pragma once

#include <cstdint>

#include "../files/run.hpp"

namespace madang::commands {

// A line of JSON in a datagram, as `madang.train` sends them: files so far are its steps. Never waits;
// outside of a job it does nothing.
class JobReport {
 public:
  JobReport();
  JobReport(const JobReport&) = delete;
  ~JobReport();

  bool is_wanted() const { return fd_ >= 0; }
  void tell(const files::Progress& progress);  // at most once a second
  void tell_last();                            // what was not told yet

 private:
  void send(const files::Progress& progress);

  int fd_ = -1;
  std::int64_t told_ns_ = 0;
  std::uint64_t told_total_ = 0;
  files::Progress latest_;
  bool is_told_ = true;
};

}  // namespace madang::commands
