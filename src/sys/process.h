// What the kernel says of other processes.
#pragma once

#include <cstdint>

namespace shoal {

// A fatal signal has come to this thread and it has not ended yet: it waits for something that
// cannot be interrupted. False when there is no such thread, or it cannot be seen. Costs a read of
// /proc.
bool is_being_killed(uint32_t thread);

}  // namespace shoal
