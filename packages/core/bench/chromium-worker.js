/** The entry of the store's worker in the page that Chromium measures. */
import 'qcow2-opfs/worker';
