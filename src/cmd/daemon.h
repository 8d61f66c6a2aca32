// Going to the background: the parent waits until the child is ready (or failed) and says so with
// its exit status.
#pragma once

#include <string>

#include "base/error.h"

namespace shoal::cmd {

class Daemon {
 public:
  // Forks. REQUIRES that no thread exists yet. In the parent it does not return before the child
  // reported: then the parent's exit status is in `exit_status` and `is_parent` is true. The child
  // has left the terminal; its output goes to `log_path`.
  static Result<Daemon> fork_off(const std::string& log_path);

  bool is_parent() const { return is_parent_; }
  Status outcome() const { return outcome_; }  // of the child; parent only
  // Child: tells the parent. Only the first call counts.
  void report(const Status& status);

 private:
  bool is_parent_ = false;
  int report_fd_ = -1;
  Status outcome_;
};

}  // namespace shoal::cmd
