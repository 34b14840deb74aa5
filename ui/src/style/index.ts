// What first results need; tokens come first. The rest comes with `rest.css`.
import './tokens.css';
import './base.css';
import './shell.css';
import './controls.css';
import './grid.css';
import './logs.css';
import './query.css';
