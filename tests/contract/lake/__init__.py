"""What every lake must do, whatever its catalogue and store."""
