#include "sys/on_behalf.h"

namespace shoal {
namespace {
thread_local const OnBehalf* innermost = nullptr;
}  // namespace

OnBehalf::OnBehalf(std::function<bool()> asked) : given_up_(std::move(asked)), outer_(innermost) {
  innermost = this;
}

OnBehalf::~OnBehalf() { innermost = outer_; }

bool given_up() { return innermost != nullptr && innermost->given_up_(); }

bool wait_unless_given_up(CondVar& changed, Mutex& mutex) {
  if (innermost == nullptr) {
    changed.wait(mutex);
    return true;
  }
  return changed.wait_for(mutex, kAskEvery) || !given_up();
}

}  // namespace shoal
