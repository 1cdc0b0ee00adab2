"""Watches a training under a rule: a log, an alarm, and a fall-back to a constant λ.

balancer = LossBalancer.from_file("policy.json", student, total_steps=updates)
Monitor(balancer, to="kd-policy.jsonl", fallback="constant")
"""

from policies.monitoring.alarm import Alarm
from policies.monitoring.log import LOG_FILE, MonitorLog, read_log
from policies.monitoring.mlflow_run import MLflowRun
from policies.monitoring.monitor import Monitor
from policies.monitoring.sinks import JsonLines, Sink
from policies.monitoring.tensorboard import TensorBoard

__all__ = ["LOG_FILE", "Alarm", "JsonLines", "MLflowRun", "Monitor", "MonitorLog", "Sink", "TensorBoard", "read_log"]
