// What both ends of a connection need of the machine.
#pragma once

#include "sys/clock.h"
#include "sys/executor.h"
#include "sys/net.h"
#include "sys/random.h"

namespace shoal::rpc {

// All outlive what is made with them. The executor must not run tasks inside post().
struct Seams {
  Net& net;
  Executor& executor;
  Clock& clock;
  Random& random;
};

}  // namespace shoal::rpc
