// Each file of rules belongs to a part of the page; tokens come first.
import './tokens.css';
import './base.css';
import './shell.css';
import './controls.css';
import './grid.css';
import './facts.css';
import './metrics.css';
import './live.css';
import './patterns.css';
import './explain.css';
import './sql.css';
import './logs.css';
