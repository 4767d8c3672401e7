"""Run the operator and profile it from the signal SIGUSR1 on, so that the profile does not contain the imports at its start."""

import cProfile
import runpy
import signal
import sys

_, path, *sys.argv[1:] = sys.argv
profiler = cProfile.Profile()
signal.signal(signal.SIGUSR1, lambda *_: profiler.enable())
try:
    runpy.run_module("shop_operator.main", run_name="__main__")
finally:
    profiler.disable()
    profiler.dump_stats(path)
