# Sourced. Says which step of a script runs, and how long each took.

steps_total=0 steps_begun=0 steps_since=0

# steps N: how many there are.
steps() {
  steps_total=$1
}

# step TITLE: the next one begins.
step() {
  step_ended
  steps_begun=$((steps_begun + 1))
  steps_since=$SECONDS
  echo "[$steps_begun/$steps_total] $1"
}

# step_ended: after the last one.
step_ended() {
  if [ "$steps_begun" -gt 0 ] && [ $((SECONDS - steps_since)) -gt 0 ]; then echo "      $((SECONDS - steps_since)) s"; fi
}
